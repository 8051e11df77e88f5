/**
 * secrets team join: makes this machine one of the team that invited it.
 *
 * The list of machines is verified from the statement that the invitation names down to this machine, and pinned,
 * before anything is written. It ends the leases of this machine. Its secrets stay in its store, or are put in.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import { endLocalLeases, bringSecrets } from "../../../daemon/team/becomeMember.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { readAuditHead } from "../../../daemon/audit/auditHead.ts"
import { removeDurably, replaceFile } from "../../../daemon/files/durableFile.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { decodeStore, emptyStore, type StoreDocument } from "../../../daemon/secrets/storeDocument.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import { unescapeText } from "../../../daemon/team/escapeText.ts"
import { fingerprint } from "../../../daemon/team/fingerprint.ts"
import { type Invitation, readInvitation } from "../../../daemon/team/invitation.ts"
import { extendMembers, noMembers, type SignedStatement, statementHash, viewOf } from "../../../daemon/team/members.ts"
import { readSigner, type Signer } from "../../../daemon/team/signer.ts"
import { openTeamMemory, teamMemoryName } from "../../../daemon/team/teamMemory.ts"
import type { Config } from "../../../domain/Config.ts"
import { decodeConfig } from "../../../domain/Config.ts"
import type { TeamSettings } from "../../../domain/TeamConfig.ts"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { failUsage } from "../../command/CommandError.ts"
import { loadConfig } from "../../command/settings.ts"
import { stderrLogger } from "../../command/stderrLogger.ts"
import { withoutDaemon } from "../backup/withoutDaemon.ts"
import { startFailure } from "../serve/startFailure.ts"
import { type AskTeam, invalidList, openTeamWire, positional, readSecretRows, readStatements } from "./besideDaemon.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { databaseFailed, refuseMember, storeFailed, teamError } from "./teamProblems.ts"

export const joinTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  yield* refuseMember(config)
  const file = yield* positional(args, 1, "the file of the invitation")
  if (args.flag("import") && args.flag("keep-aside"))
    return yield* failUsage("--import excludes --keep-aside", "Choose one of them")
  const { invitation, signer } = yield* invitationIn(config, file)
  const section = yield* writeConnection(config, invitation)
  const settings = yield* settingsOf(section)
  const ask = yield* openTeamWire(settings)
  const statements = yield* verifiedStatements(ask, invitation, signer)
  const isImport = args.flag("import")
  if (yield* hasEntered(config, ask, invitation.machine)) {
    const imported = yield* joinAgain(config, settings, { statements, isImport })
    return {
      lines: [
        `this machine is ${invitation.machine} in the team again: its leases and its log go on; ${counted(imported, "secret")} put in`,
        ...sectionLines(section)
      ],
      result: { machine: invitation.machine, again: true, revoked: 0, imported, team: section }
    }
  }
  if (!isImport) yield* refuseSameNames(config, ask)
  const { imported, revoked } = yield* becomeMember(config, { name: invitation.machine, section, statements, isImport })
  return {
    lines: [
      `this machine is ${invitation.machine} in the team; ${counted(revoked, "lease", "is")} revoked, ${counted(imported, "secret")} put in`,
      `the words of the team: ${fingerprint(invitation.founded)}`,
      ...sectionLines(section)
    ],
    result: { machine: invitation.machine, revoked, imported, team: section }
  }
}, Effect.scoped)

/** What config.json gets. */
export interface TeamSection {
  readonly name: string
  readonly url: string
  readonly password_file?: string
  readonly ca?: string
}

export const sectionLines = (section: TeamSection): ReadonlyArray<string> => [
  "Add this to config.json, and start the daemon:",
  ...`"team": ${JSON.stringify(section, null, 2)}`.split("\n")
]

const settingsOf = Effect.fnUntraced(function* (section: TeamSection) {
  const decoded = decodeConfig(JSON.stringify({ team: section }), "/")
  const settings = Result.isSuccess(decoded) ? decoded.success.config.team : undefined
  if (settings !== undefined) return settings
  const why = Result.isFailure(decoded) ? decoded.failure.message : "no section team"
  return yield* teamError(
    "the invitation cannot be used",
    why,
    "Make another one: secrets team add",
    exitStatus.badConfig
  )
})

const invitationIn = Effect.fnUntraced(function* (config: Config, file: string) {
  const contents = yield* Effect.try({
    try: () => fs.readFileSync(file),
    catch: (cause) =>
      failUsage(`the invitation cannot be read: ${fileErrorText(cause)}`, "Name the file that secrets team add wrote")
  })
  if (!fs.existsSync(config.identityPath)) {
    return yield* teamError(
      "this machine has not asked for an invitation",
      `${config.identityPath} does not exist, so no invitation is encrypted to it`,
      "Make a request, and have it added on an admin machine: secrets team request > FILE",
      exitStatus.unfit
    )
  }
  const signer = yield* Effect.mapError(readSigner(config, ""), storeFailed)
  const invitation = yield* Effect.mapError(readInvitation(contents, signer.store), ({ reason }) =>
    teamError(
      "the invitation is not for this machine",
      reason,
      "Make another one there: secrets team add",
      exitStatus.unfit
    )
  )
  return { invitation, signer }
})

/** Writes the files that the connection needs, and returns the section that names them. */
const writeConnection = Effect.fnUntraced(function* (config: Config, { ca, machine, password, url }: Invitation) {
  const write = (name: string, text: string) => {
    const file = path.join(config.directory, name)
    return Effect.as(Effect.mapError(replaceFile(file, [Buffer.from(text, "utf8")]), storeFailed), file)
  }
  const role = new URL(url).username
  const passwordFile =
    password === undefined ? {} : { password_file: yield* write("team.password", `*:*:*:${role}:${password}\n`) }
  const section: TeamSection = {
    name: machine,
    url,
    ...passwordFile,
    ...(ca === undefined ? {} : { ca: yield* write("team-ca.pem", ca) })
  }
  return section
})

/** Reads the list, and verifies it from the founding statement down to this machine. */
const verifiedStatements = Effect.fnUntraced(function* (ask: AskTeam, invitation: Invitation, signer: Signer) {
  const statements = yield* readStatements(ask, 0)
  const [founding] = statements
  if (founding === undefined || statementHash(founding) !== invitation.founded) {
    return yield* invalidList("it was not founded by the statement that the invitation names")
  }
  const list = yield* Effect.mapError(Effect.fromResult(extendMembers(noMembers, statements)), invalidList)
  const self = viewOf(list).members.get(invitation.machine)
  if (self?.recipient !== signer.keys.recipient || self.key !== signer.keys.key) {
    return yield* invalidList(`its machine ${invitation.machine} is not this one`)
  }
  return statements
})

/** Rejects secrets of this machine whose names the team has: secrets.age keeps one of each name. */
const refuseSameNames = Effect.fnUntraced(function* (config: Config, ask: AskTeam) {
  const names = yield* Effect.map(readSecretRows(ask), (rows) => new Set(rows.map(({ name }) => unescapeText(name))))
  const own = yield* withoutDaemon(
    config,
    { command: "team", create: true },
    SecretStore.use((store) => store.names)
  ).pipe(Effect.mapError(storeFailed))
  const both = own.filter((name) => names.has(name))
  if (both.length === 0) return
  return yield* teamError(
    "this machine has secrets of the same names as the team",
    both.join(", "),
    "Back them up and delete them first, or pass --import to drop them for those of the team",
    exitStatus.cannotCreate
  )
})

const Heads = Schema.Array(Schema.Struct({ name: Schema.String, seq: Schema.Number }))

/** Returns whether this machine has worked in the team before, so that its log and its leases are there. Rejects one that has left since. */
const hasEntered = Effect.fnUntraced(function* (config: Config, ask: AskTeam, name: string) {
  const there = (yield* ask("read_1", { what: "heads" }, Heads)).find((head) => head.name === name)
  if (there === undefined) return false
  const here = Option.match(yield* readAuditHead(config.auditPath), { onNone: () => 0, onSome: ({ seq }) => seq })
  if (here <= there.seq) return true
  return yield* teamError(
    `this machine cannot be ${name} again`,
    `its audit.log has ${counted(here - there.seq, "entry")} that the team's database does not have: it has left the team, or the database is older`,
    "Have it removed, and join under another name: secrets team remove, then secrets team request --name",
    exitStatus.unfit
  )
})

/** Pins the list again, of a machine that lost team.json or its password. Its leases are those of the team, and stay. */
const joinAgain = Effect.fnUntraced(
  function* (
    config: Config,
    settings: TeamSettings,
    { isImport, statements }: Pick<Membership, "isImport" | "statements">
  ) {
    const reading = withoutDaemon(
      config,
      { command: "team", create: true },
      SecretStore.use((store) => store.text)
    )
    const text = isImport ? yield* Effect.mapError(reading, storeFailed) : undefined
    yield* Effect.mapError(holdDirectory(instancePaths(config)), startFailure)
    const memory = yield* Effect.mapError(openTeamMemory(path.join(config.directory, teamMemoryName)), storeFailed)
    yield* Effect.mapError(memory.write({ members: statements }), storeFailed)
    return text === undefined ? 0 : yield* importSecrets(config, settings, secretsIn(text))
  },
  Effect.scoped,
  Effect.provide(stderrLogger)
)

const secretsIn = (text: string) => Result.getOrElse(decodeStore(text), () => emptyStore)

/** Puts secrets into the team; returns how many. */
const importSecrets = (config: Config, settings: TeamSettings, own: StoreDocument) =>
  Effect.mapBoth(bringSecrets(config, settings, own), {
    onFailure: databaseFailed("the secrets of this machine are not put in"),
    onSuccess: (names) => names.length
  })

interface Membership {
  readonly name: string
  readonly section: TeamSection
  readonly statements: ReadonlyArray<SignedStatement>
  readonly isImport: boolean
}

/** Pins the list, ends the leases of this machine, and puts its secrets in; returns how many of each. */
export const becomeMember = Effect.fnUntraced(
  function* (config: Config, { isImport, name, section, statements }: Membership) {
    const settings = yield* settingsOf(section)
    const ending = Effect.gen(function* () {
      const revoked = yield* endLocalLeases(config, name)
      const text = yield* SecretStore.use((store) => store.text)
      const file = path.join(config.directory, teamMemoryName)
      // What was remembered of another team is no measure for this one.
      yield* removeDurably(file)
      const memory = yield* openTeamMemory(file)
      yield* memory.write({ members: statements })
      return { revoked, own: secretsIn(text) }
    })
    const ended = yield* withoutDaemon(config, { command: "team", create: true }, ending).pipe(
      Effect.mapError(storeFailed)
    )
    if (!isImport) return { revoked: ended.revoked, imported: 0 }
    yield* Effect.mapError(holdDirectory(instancePaths(config)), startFailure)
    return { revoked: ended.revoked, imported: yield* importSecrets(config, settings, ended.own) }
  },
  Effect.scoped,
  Effect.provide(stderrLogger)
)
