/**
 * The checks of `secrets doctor` that look at the program and at the daemon: which command runs,
 * the socket, who holds the directory, and what the daemon reports.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { findHolder } from "../../../daemon/files/fileLock.ts"
import { counted } from "../../../domain/counted.ts"
import { maxSocketPath } from "../../../domain/paths.ts"
import { unsafePath, unsafeSocket } from "../../../process/pathOwners.ts"
import { isExecutableFile } from "../../../process/programPath.ts"
import { build, version } from "../../../version.ts"
import { explainAbsent } from "../../command/failedProblem.ts"
import { explainAccess } from "../../command/ownership.ts"
import { clientProblem } from "../../command/problems.ts"
import { restartHint } from "../../command/restartHint.ts"
import { formatDuration } from "../../terminal/formatDuration.ts"
import { describeProgram } from "../version.ts"
import { type Finding, note, ok, warning, wrong } from "./Check.ts"
import type { Examined } from "./examine.ts"

type Findings = Effect.Effect<ReadonlyArray<Finding>>

/** Looks at the program itself. Node is new enough where this runs at all. */
export const checkProgram = ({ environment }: Examined): Findings =>
  Effect.sync(() => {
    const onPath = (environment["PATH"] ?? "")
      .split(path.delimiter)
      .filter((directory) => path.isAbsolute(directory))
      .map((directory) => path.join(directory, "secrets"))
      .find(isExecutableFile)
    const own = process.versions["bun"] === undefined ? (process.argv[1] ?? "") : process.execPath
    const what = describeProgram()
    if (onPath === undefined) return [note(`${what}, not on the PATH`, own, "Install it there: docs/install.md")]
    // In a checkout, bin/secrets runs dist/secrets.mjs.
    const [first, running] = [onPath, own].map((file) => fs.realpathSync(file))
    const isOwn =
      first === running || first?.replace(/\/bin\/secrets$/, "") === running?.replace(/\/dist\/secrets\.mjs$/, "")
    return isOwn
      ? [ok(what)]
      : [warning(`${what}; the PATH has another one first`, onPath, "Remove it, or call this one by its path")]
  })

export const checkSocket = ({ socketPath }: Examined): Findings =>
  Effect.sync(() => {
    const length = Buffer.byteLength(socketPath)
    if (length > maxSocketPath) {
      const what = `its path has ${length} bytes; a socket address holds at most ${maxSocketPath}`
      return [wrong(what, socketPath, "Choose a shorter socket_path in config.json")]
    }
    const found = unsafeSocket(socketPath)
    const unsafe = found === "missing" ? unsafePath(path.dirname(socketPath)) : found
    if (unsafe !== undefined) return [wrong("another user could put a socket there", unsafe.reason, unsafe.fix)]
    return [ok(found === "missing" ? "its place is safe; there is none now" : "only its owner could replace it")]
  })

export const checkLock = Effect.fnUntraced(function* ({ config: { directory }, daemon }: Examined) {
  const file = path.join(directory, "daemon.lock")
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true)
    return [wrong("the lock file is a symbolic link", file, `Run: rm ${file}`)]
  const holder = yield* findHolder(file)
  const answering = Result.isSuccess(daemon) ? daemon.success.process?.pid : undefined
  if (holder === undefined) return [ok("free")]
  if (answering !== undefined && holder !== "unknown" && holder !== answering) {
    const what = `process ${holder} holds the directory, and process ${answering} answers on the socket`
    return [warning(what, file, "Stop the one that you do not need, or name its own config.json with --config")]
  }
  return [ok(`held by ${holder === "unknown" ? "a daemon" : `process ${holder}`}`)]
})

export const checkDaemon = Effect.fnUntraced(function* ({ args, daemon }: Examined) {
  if (Result.isFailure(daemon)) {
    const { failure } = daemon
    if (failure._tag === "RequestRejected") return [warning("it refuses to report its state", failure.message)]
    const problem = explainAccess(clientProblem(failure))
    const { fix, message, why } = yield* Effect.promise(() => explainAbsent(args, problem, true))
    // The reason of a reply that no daemon sends is the words of another program.
    const what = failure._tag === "InvalidReply" ? "another program answers on the socket" : message
    return [wrong(what, [why ?? []].flat().join("; "), fix)]
  }
  const { diagnostics, process: running, status } = daemon.success
  const state = status.running
    ? ok(running === undefined ? "it answers" : `process ${running.pid}, up ${formatDuration(running.uptime_ms)}`)
    : warning("it is stopping", undefined, "Wait for the next one: secrets status --wait 30s")
  if (diagnostics === undefined) return [state]
  const { audit, leases, store, unclean_starts: unclean } = diagnostics
  const findings: ReadonlyArray<Finding | undefined> = [
    state,
    audit.failure === undefined
      ? undefined
      : wrong("it rejects leases and changes", audit.failure, "Remove the cause; it then continues by itself"),
    store?.failure === undefined
      ? undefined
      : wrong("it rejects changes of secrets", store.failure, "Remove the cause: secrets status"),
    unclean === undefined
      ? undefined
      : warning(
          `${unclean.crash_loop ? "crash loop: " : ""}${counted(unclean.count, "unclean start")} within a day`,
          unclean.last_reason,
          running?.started_by === "supervisor" ? "See its log: secrets daemon logs" : "Read what secrets serve printed"
        ),
    leases.unreadable === 0
      ? undefined
      : warning(`${counted(leases.unreadable, "lease")} set aside at the start`, undefined, "See: secrets audit")
  ]
  return findings.filter((one) => one !== undefined)
})

export const checkVersion = ({ daemon }: Examined): Findings =>
  Effect.sync(() => {
    if (Result.isFailure(daemon)) return []
    const { process: running } = daemon.success
    const fix = `Restart it with this version: ${restartHint(running?.started_by)}`
    if (running === undefined)
      return [warning(`the daemon does not report its version; this command is ${version}`, undefined, fix)]
    if (running.version !== version)
      return [warning(`the daemon is ${running.version}, and this command ${version}`, undefined, fix)]
    return (running.build ?? build) === build
      ? [ok(`daemon and command are ${version}`)]
      : [warning(`daemon and command are two builds of ${version}`, undefined, fix)]
  })
