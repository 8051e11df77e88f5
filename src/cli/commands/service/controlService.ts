/**
 * secrets daemon start, stop, restart, logs. A restart is done when a daemon answers that
 * started later than the previous one. An installed service is restarted by its supervisor;
 * any other daemon is asked to exit, and its unknown supervisor starts the next one. A daemon
 * that was started by hand is stopped by its process, and not restarted.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { printNotice, printLines } from "../../command/Output.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { followTool, runTool, toolFailed, toolMessage } from "../../../process/runTool.ts"
import { type ClientError, type DaemonAddress, call, sharedTimeout } from "../../../rpc/client/client.ts"
import { literal } from "../../../domain/shape.ts"
import { readServiceFiles } from "../../../service/ServiceFile.ts"
import { type SupervisorVerb, toolOptions } from "../../../service/Supervisor.ts"
import { CommandError, failUsage, fromClient } from "../../command/CommandError.ts"
import { asOwnerOf } from "../../command/ownership.ts"
import { loadDaemon } from "../../command/settings.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { waitUntilReady } from "./probeDaemon.ts"
import { type InstalledService, installedService } from "./renderService.ts"
import { fileError, ioError, supervisorOf } from "./supervisorOf.ts"

export const startService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const service = yield* requireService(args)
  yield* runVerb("start", service)
  const answer = yield* Effect.mapError(
    waitUntilReady(service.daemon.socketPath, service.supervisor),
    ({ fix, message }) => unavailable(message, fix)
  )
  return { lines: [`running${answer.pid === undefined ? "" : ` as process ${answer.pid}`}`], result: answer }
})

export const stopService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const chosen = yield* chosenService(args)
  if (chosen === undefined || chosen.job.phase === "unloaded" || chosen.job.phase === "stopped") {
    const { stopUnmanaged } = yield* Effect.promise(() => import("./stopUnmanaged.ts"))
    const stopped = yield* stopUnmanaged(args, chosen?.daemon ?? (yield* loadDaemon(args)))
    if (stopped !== undefined) return stopped
  }
  const service = chosen ?? (isNamed(args) ? yield* requireService(args) : yield* notInstalled)
  yield* runVerb("stop", service)
  const until = service.supervisor.scope === "user" ? "login" : "boot"
  return { lines: [`stopped until the next ${until}; start it with: secrets daemon start`], result: {} }
})

export const serviceLogs = Effect.fnUntraced(function* (args: DaemonArgs) {
  const lines = Number(args.option("lines") ?? 100)
  if (!Number.isSafeInteger(lines) || lines < 0 || lines > 100_000)
    return yield* failUsage("--lines must be a whole number up to 100000", "For example: secrets daemon logs -n 20")
  // Not `requireService`: a config.json that cannot be used is what the log explains.
  const supervisor = yield* supervisorOf(args, "read")
  const [main] = yield* Effect.mapError(readServiceFiles(supervisor.paths), fileError)
  if (main?.text === undefined)
    return yield* serviceMissing("Read what secrets serve printed: only a service has a log")
  const command = supervisor.logs({ lines, follow: args.flag("follow") }, main.text)
  const tool = toolOptions(supervisor.environment)
  if (args.flag("follow")) {
    const status = yield* Effect.mapError(
      followTool(command, tool, { stdout: (line) => printLines([line]), stderr: printNotice }),
      ioError
    )
    if (status === 0) return { result: {} }
    return yield* ioError(toolFailed(command, `exit status ${status}`, ""))
  }
  const printed = yield* Effect.mapError(runTool(command, tool), ioError)
  if (printed.status !== 0)
    return yield* ioError(toolFailed(command, toolMessage(printed), "The log may not exist yet"))
  const printedLines = printed.stdout.toString("utf8").replace(/\n$/, "").split("\n")
  return { lines: printedLines, result: { lines: printedLines } }
})

const requireService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const service = yield* installedService(args)
  if (service !== undefined) return service
  return yield* notInstalled
})

const serviceMissing = (fix: string) =>
  new CommandError({
    message: "the service is not installed",
    code: "generic_error",
    fix,
    exitStatus: exitStatus.notFound
  })
const notInstalled = serviceMissing("Install it: secrets daemon install. Without a service: secrets serve")

const runVerb = (verb: SupervisorVerb, { supervisor, withSocket }: InstalledService) =>
  Effect.forEach(supervisor.steps(verb, withSocket), (step) => Effect.mapError(supervisor.run(step), ioError), {
    discard: true
  })

const unavailable = (message: string, fix: string) =>
  new CommandError({ message, code: "daemon_unavailable", fix, exitStatus: exitStatus.unavailable })

const acceptedExample = { accepted: literal(true) }
const startedExample = { running: true, started_at: "" }

/** A supervisor may wait ten seconds between two starts. */
const restartTimeout = Duration.seconds(15)

export const restartService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const service = yield* chosenService(args)
  const daemon = service?.daemon ?? (yield* loadDaemon(args))
  const status = call(daemon, "secrets.status", {}, startedExample)
  if (service === undefined || service.job.phase === "unloaded") {
    const rest = yield* sharedTimeout(daemon)
    const [before] = yield* Effect.all(
      [Effect.mapError(status, fromClient), args.flag("force") ? Effect.void : rejectStartedByHand(daemon)],
      { concurrency: "unbounded" }
    )
    yield* Effect.mapError(call(yield* rest, "daemon.restart", {}, acceptedExample), restartProblem(daemon))
    return yield* waitForNewDaemon(daemon, before.started_at, "No supervisor restarted it. Start it: secrets serve")
  }
  const before = Option.getOrUndefined(yield* Effect.option(status))
  yield* restart(service)
  return yield* waitForNewDaemon(daemon, before?.started_at, "See why: secrets daemon status")
})

/** Returns the installed service, unless --socket or --config names a daemon, which may be another one. */
const chosenService = Effect.fnUntraced(function* (args: DaemonArgs) {
  return isNamed(args) ? undefined : yield* installedService(args)
})
const isNamed = (args: DaemonArgs) => (args.option("socket") ?? args.option("config")) !== undefined

/** Rejects a restart after which nothing would start the daemon again. */
const rejectStartedByHand = Effect.fnUntraced(function* (daemon: DaemonAddress) {
  const found = yield* Effect.option(call(daemon, "daemon.status", {}, { pid: 0, started_by: literal("hand") }))
  if (Option.isNone(found)) return
  return yield* new CommandError({
    message: `process ${found.value.pid} was started by hand: nothing would start it again`,
    code: "RestartRefused",
    fix: "End it with secrets daemon stop, or add --force if something starts it again",
    exitStatus: exitStatus.rejected
  })
})

/** Names the owner of the daemon where only that user may restart it. */
const restartProblem =
  ({ socketPath }: DaemonAddress) =>
  (error: ClientError) => {
    const problem = fromClient(error)
    const { code, exitStatus: status, message } = problem
    if (code !== "RestartNotAllowed") return problem
    const fix = `Restart it as its owner: ${asOwnerOf(socketPath, "secrets daemon restart")}`
    return new CommandError({ message, code, exitStatus: status, fix })
  }

/** Restarts by a request. A supervisor that may kill the daemon is used only if the daemon does not answer. */
const restart = Effect.fnUntraced(function* (service: InstalledService) {
  if (!service.supervisor.restartsGracefully) {
    const accepted = yield* Effect.result(call(service.daemon, "daemon.restart", {}, acceptedExample))
    if (Result.isSuccess(accepted)) return
    const { failure } = accepted
    if (failure._tag !== "DaemonUnavailable" && failure._tag !== "RequestTimedOut") return yield* fromClient(failure)
  }
  yield* runVerb("restart", service)
})

const waitForNewDaemon = (daemon: DaemonAddress, startedBefore: string | undefined, fix: string) =>
  call(daemon, "secrets.status", {}, startedExample).pipe(
    Effect.filterOrFail(({ running, started_at }) => running && started_at !== startedBefore),
    Effect.retry(Schedule.spaced("200 millis")),
    Effect.timeout(restartTimeout),
    Effect.mapBoth({
      onFailure: () => unavailable("the daemon stopped, and no new one answered within 15 s", fix),
      onSuccess: (after) => ({
        lines: [`restarted; running since ${after.started_at}`],
        result: { running: after.running, started_at: after.started_at }
      })
    })
  )
