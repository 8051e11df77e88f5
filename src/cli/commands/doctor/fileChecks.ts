/**
 * The checks of `secrets doctor` that look at files: settings, directory, permissions, store,
 * audit log, disk, clock, and what a backup holds.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditNeighbours } from "../../../daemon/audit/auditEvidence.ts"
import { readLastEntry, verifyAuditLog } from "../../../daemon/audit/verifyAuditLog.ts"
import { readIfPresent } from "../../../daemon/files/durableFile.ts"
import { keyThatOpens } from "../../../daemon/secrets/replaceKey.ts"
import type { Config } from "../../../domain/Config.ts"
import { counted } from "../../../domain/counted.ts"
import { socketsOf } from "../../../domain/ListenSocket.ts"
import { lockFilePath } from "../../../domain/Secret.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { runGit } from "../../../process/git.ts"
import { modeHint, unsafePath } from "../../../process/pathOwners.ts"
import { reasonOf } from "../../command/Output.ts"
import { accessHint } from "../../command/ownership.ts"
import { type Finding, note, ok, warning, wrong } from "./Check.ts"
import type { Examined } from "./examine.ts"

type Findings = Effect.Effect<ReadonlyArray<Finding>>

const look = (find: () => ReadonlyArray<Finding>): Findings => Effect.sync(find)

export const checkSettings = ({ settingsProblem, unknownKeys }: Examined): Findings =>
  look(() => {
    if (settingsProblem !== undefined) {
      const { fix, message, why = [] } = settingsProblem
      return [wrong("config.json cannot be used", [message, why].flat().join(": "), fix)]
    }
    if (unknownKeys.length === 0) return [ok("every setting is known")]
    const names = unknownKeys.map(({ key, meant }) => (meant === undefined ? key : `${key} (${meant}?)`))
    const what = `config.json has ${counted(unknownKeys.length, "key")} that this daemon does not know`
    return [warning(what, names.join(", "), "Correct or remove them: docs/settings.md has all settings")]
  })

/** Returns whether the files are those of another account, whose daemon answers this user: they are none of its business. */
export const isOfDaemonAlone = ({ config: { directory }, daemon }: Examined): boolean =>
  Result.isSuccess(daemon) && (isHidden(directory) || isForeign(directory))

/** Returns whether the daemon that answers is another account's, and this one has no store: it needs none. */
export const usesOtherDaemon = (examined: Examined): boolean =>
  isOfDaemonAlone(examined) ||
  (Result.isSuccess(examined.daemon) &&
    isForeign(examined.socketPath) &&
    [examined.config.identityPath, examined.config.secretsPath].every((file) => statOf(file) === undefined))

const isForeign = (file: string): boolean => {
  const found = statOf(file)
  return found !== undefined && foreignOwner(found) !== undefined
}

const isHidden = (file: string): boolean => {
  try {
    fs.statSync(file)
    return false
  } catch (error) {
    return reasonOf(error) === "EACCES"
  }
}

export const checkDirectory = (examined: Examined): Findings =>
  look(() => {
    const { directory } = examined.config
    if (isOfDaemonAlone(examined))
      return [note("it is of the account that the daemon runs as, as are its files", directory)]
    const found = statOf(directory)
    if (found === undefined)
      return [note("there is no state directory yet", directory, "Start the daemon, which creates it: secrets serve")]
    if (!found.isDirectory()) return [wrong("it is not a directory", directory, "Move it away")]
    const foreign = foreignOwner(found)
    if (foreign !== undefined) return [wrong(foreign, directory, accessHint(directory)?.fix)]
    const unsafe = unsafePath(directory)
    if (unsafe !== undefined) return [wrong("another user could replace it", unsafe.reason, unsafe.fix)]
    const mode = found.mode & 0o777
    return (mode & 0o077) === 0
      ? [ok("it is yours alone")]
      : [
          warning(
            `others may look into it (mode ${mode.toString(8)})`,
            directory,
            modeHint("700", { ...found, path: directory }) ?? "Choose another directory in config.json"
          )
        ]
  })

/** Looks at every file that the daemon keeps, in the state directory or where config.json puts it. */
export const checkFiles = ({ config }: Examined): Findings =>
  look(() => {
    const files = filesOf(config).flatMap((file) => {
      const stat = statOf(file)
      return stat?.isFile() === true ? [{ file, stat }] : []
    })
    const open = files.filter(({ stat }) => (stat.mode & 0o077) !== 0).map(({ file }) => file)
    const [kept, others] = [open.filter(isKept(config)), open.filter((file) => !isKept(config)(file))]
    const foreign = files.filter(({ stat }) => foreignOwner(stat) !== undefined).map(({ file }) => file)
    const unsafe = files.flatMap(({ file }) => {
      const found = unsafePath(file)
      return found === undefined || open.includes(file) || foreign.includes(file) ? [] : [found]
    })
    const findings = [
      ...readableFindings(wrong, kept),
      ...readableFindings(warning, others),
      ...(foreign.length === 0
        ? []
        : [
            wrong(
              `${counted(foreign.length, "file")} of another user`,
              foreign.join(", "),
              accessHint(foreign[0] ?? "")?.fix
            )
          ]),
      ...unsafe.slice(0, 1).map(({ fix, reason }) => wrong("another user could replace a file", reason, fix))
    ]
    return findings.length > 0 ? findings : [ok(`${counted(files.length, "file")}, readable by you alone`)]
  })

const readableFindings = (verdict: typeof wrong, files: ReadonlyArray<string>): ReadonlyArray<Finding> =>
  files.length === 0
    ? []
    : [
        verdict(
          `others may read ${counted(files.length, "file")}`,
          files.join(", "),
          `Run: chmod go= ${files.join(" ")}`
        )
      ]

/**
 * Returns whether the daemon keeps values, keys or names in the file, or in one that it makes beside it. What a person
 * puts into the directory, such as config.json or a rotation command, has none.
 */
const isKept =
  ({ auditPath, identityPath, leasesPath, secretsPath }: Config) =>
  (file: string): boolean =>
    [auditPath, identityPath, leasesPath, secretsPath].some((kept) => file.startsWith(kept.replace(/\.[^./]*$/, "")))

export const checkStore = Effect.fnUntraced(function* ({ config: { identityPath, secretsPath } }: Examined) {
  const both = yield* Effect.result(Effect.all([readIfPresent(identityPath), readIfPresent(secretsPath)]))
  if (Result.isFailure(both)) {
    const { message, path: file } = both.failure
    return [wrong("it cannot be read", message, accessHint(file)?.fix ?? "Check that file")]
  }
  const [identity, store] = both.success
  const locked = fs.existsSync(lockFilePath(secretsPath))
    ? [warning("it is locked: no lease and no change", undefined, "Unlock it in a terminal: secrets unlock")]
    : []
  const backup = fs.existsSync(`${secretsPath}.bak`) ? `; ${secretsPath}.bak is the store before the last change` : ""
  if (identity === undefined && store === undefined)
    return [note("there is no store yet", secretsPath, "Start the daemon, which creates it: secrets serve"), ...locked]
  if (identity === undefined)
    return [wrong("its key is missing", identityPath, "Restore identity.age from your copy"), ...locked]
  if (store === undefined) {
    return [wrong("it is missing, although its key exists", secretsPath, `Restore it${backup}`), ...locked]
  }
  const opens = (yield* keyThatOpens(identity, store)) !== undefined
  const fix = `Restore a good copy, with its identity.age${backup}`
  return [opens ? ok("its key opens it") : wrong("its key does not open it", secretsPath, fix), ...locked]
})

export const checkAudit = Effect.fnUntraced(function* ({ config }: Examined) {
  const verified = yield* Effect.result(verifyAuditLog(config.auditPath, { beside: auditNeighbours(config) }))
  if (Result.isFailure(verified)) {
    const { message, path: file } = verified.failure
    return [wrong("it cannot be read", message, accessHint(file)?.fix ?? "Check that file")]
  }
  const { entries, files, findings, isEndKnown } = verified.success
  if (findings.length > 0) {
    const kinds = [...new Set(findings.map(({ kind }) => kind))].join(", ")
    return [wrong(`${counted(findings.length, "finding")}: ${kinds}`, undefined, "See them: secrets audit --verify")]
  }
  if (files.length === 0 && !isEndKnown) return [note("there is no audit log yet")]
  return [ok(`${entries} chained entries, intact`)]
})

/** Compares the clock with the last entry: a restored machine or an empty battery sets it back. */
export const checkClock = Effect.fnUntraced(function* ({ config }: Examined) {
  const now = yield* Clock.currentTimeMillis
  const last = yield* Effect.orElseSucceed(readLastEntry(config.auditPath), () => Option.none())
  const ahead = Option.match(
    Option.flatMap(last, ({ timestamp }) => parseTimestamp(timestamp)),
    {
      onNone: () => 0,
      onSome: ({ millis }) => millis - now
    }
  )
  const fix = "Set the clock; with systemd: timedatectl set-ntp true"
  return ahead > 1000
    ? [wrong(`the clock is ${Math.round(ahead / 1000)} s behind the last audit entry`, undefined, fix)]
    : [ok("not behind the last audit entry")]
})

const [tooFull, nearlyFull] = [1_000_000, 100_000_000]

export const checkDisk = ({ config: { directory } }: Examined): Findings =>
  look(() => {
    const { bavail, bsize, ffree, files } = fs.statfsSync(firstExisting(directory))
    const free = bavail * bsize
    const megabytes = `${Math.floor(free / 1_000_000)} MB free`
    const fix = "Free space there: a daemon that cannot write its audit log rejects every request"
    // File systems without a table of inodes have 0 of 0.
    if (free < tooFull || (files > 0 && ffree === 0)) return [wrong(`full: ${megabytes}`, directory, fix)]
    return [free < nearlyFull ? warning(megabytes, directory, fix) : ok(megabytes)]
  })

/** Directories that a program copies to other machines. */
const synced = /\/(Dropbox|OneDrive|Google ?Drive|Nextcloud|ownCloud|Mobile Documents|iCloud ?Drive|Syncthing)[^/]*\//i

/** Of git check-ignore; 128 is no repository. */
const notIgnored = 1
const gitTimeout = "2 seconds"

/** Checks whether a copy of the store comes with its key. */
export const checkBackups = Effect.fnUntraced(function* ({ config: { identityPath, secretsPath } }: Examined) {
  if (fs.lstatSync(identityPath, { throwIfNoEntry: false }) === undefined) return [ok("there is no key yet")]
  const [key, store] = [path.dirname(identityPath), path.dirname(secretsPath)]
  const findings: Array<Finding> = []
  if (synced.test(`${key}/`))
    findings.push(
      wrong("the key is in a directory that is copied to other machines", key, "Move it: identity_path in config.json")
    )
  const ignored = yield* runGit(["check-ignore", "-q", "--", identityPath], {
    cwd: key,
    inHook: false,
    timeout: gitTimeout
  })
  if (ignored?.status === notIgnored)
    findings.push(
      wrong("the key is in a git repository that does not ignore it", key, "Move it out, and never commit it")
    )
  if (key === store && findings.length === 0)
    findings.push(
      note(
        "key and store share a directory, so a backup of it opens without you",
        key,
        "Exclude identity.age from backups and keep a copy elsewhere: docs/backup.md"
      )
    )
  return findings.length > 0 ? findings : [ok("the key is not beside the store")]
})

const filesOf = (config: Config): ReadonlyArray<string> => {
  const sockets = socketsOf(config).map((socket) => socket.path)
  const inDirectory = namesIn(config.directory).map((name) => path.join(config.directory, name))
  const configured = [
    config.identityPath,
    config.secretsPath,
    `${config.secretsPath}.bak`,
    config.auditPath,
    config.leasesPath
  ]
  return [...new Set([...inDirectory, ...configured])].filter((file) => !sockets.includes(file))
}

const namesIn = (directory: string): ReadonlyArray<string> =>
  statOf(directory)?.isDirectory() === true ? fs.readdirSync(directory) : []

const statOf = (file: string): fs.Stats | undefined => {
  try {
    return fs.statSync(file)
  } catch {
    return undefined
  }
}

/** Returns what is wrong with the owner; root may look after the files of others. */
const foreignOwner = ({ uid }: fs.Stats): string | undefined => {
  const own = process.getuid?.()
  return own === undefined || own === 0 || uid === own ? undefined : "it belongs to another user"
}

const firstExisting = (file: string): string =>
  fs.existsSync(file) || file === path.dirname(file) ? file : firstExisting(path.dirname(file))
