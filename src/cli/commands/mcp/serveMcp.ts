/**
 * The server of `secrets mcp`: it starts without the daemon, and ends with its client.
 *
 * At the end of input, when nobody reads any more, at a signal, or when the parent is gone, its programs
 * get SIGTERM and soon SIGKILL, and it exits within 100 ms. Their leases are revoked by the child that
 * started each of them.
 */
import * as McpProtocol from "effect/ai/McpProtocol"
import * as McpServer from "effect/ai/McpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { constants } from "node:os"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { version } from "../../../version.ts"
import { printNotice } from "../../command/Output.ts"
import { listSecretsTool } from "./listSecrets.ts"
import { openStdio } from "./mcpStdio.ts"
import { listLeasesTool, revokeLeasesTool } from "./ownLeases.ts"
import { runningPrograms } from "./programRun.ts"
import { requestSecretTool } from "./requestSecret.ts"
import { runWithSecretsTool } from "./runWithSecrets.ts"
import { searchAuditTool } from "./searchAuditTool.ts"
import type { McpSession } from "./session.ts"
import { type McpTool, registerTool } from "./Tool.ts"
import { writeEnvFileTool } from "./writeEnvFileTool.ts"

const tools: ReadonlyArray<McpTool> = [
  listSecretsTool,
  runWithSecretsTool,
  requestSecretTool,
  listLeasesTool,
  revokeLeasesTool,
  writeEnvFileTool,
  searchAuditTool
]

const instructions =
  "Secrets of this machine, for programs. Run a program with run_with_secrets: it gets the values in its environment, " +
  "and its output comes back with *** in their place. Values are never shown. Do not ask for a value in the conversation, " +
  "and do not look for one in files. list_secrets has the names. If one is missing or does not work, use request_secret: " +
  "the person then stores it outside of the conversation."

/** All versions that there are; the one that most clients speak is the first. */
const protocols = [
  McpProtocol.v2025_11_25,
  McpProtocol.v2026_07_28,
  McpProtocol.v2025_06_18,
  McpProtocol.v2025_03_26,
  McpProtocol.v2024_11_05
] as const

/** Logs that something failed, and nothing of what a handler may have thrown: it may hold a value. */
const silentLogger = Logger.layer([
  Logger.make(() => printNotice("secrets mcp: the server reported a failure; its text is left out"))
])

/** Returns the layer that registers the tools. */
export const registrationsOf = (session: McpSession) =>
  Layer.effectDiscard(Effect.forEach(tools, (tool) => registerTool(tool, session), { discard: true }))

/** Serves until the end, and exits. */
export const serveMcp = Effect.fnUntraced(function* (session: McpSession) {
  const stdio = yield* openStdio
  const ending = yield* Deferred.make<number>()
  yield* watchSignals(ending)
  yield* Effect.forkChild(watchParent(ending))
  yield* Effect.forkChild(Effect.andThen(stdio.closed, Deferred.succeed(ending, exitStatus.done)))
  const server = McpServer.layerStdio({
    name: "agent-secrets",
    version,
    instructions,
    protocols,
    registrations: registrationsOf(session)
  })
  const serving = yield* server.pipe(
    Layer.provide(stdio.layer),
    Layer.provide(silentLogger),
    Layer.launch,
    Effect.forkChild
  )
  const status = yield* Deferred.await(ending)
  yield* endPrograms(Fiber.await(serving))
  return yield* Effect.sync(() => process.exit(status))
}, Effect.uninterruptible)

/** Between the end of input and SIGKILL for programs that ignore SIGTERM, and until the exit. */
const untilKill = "50 millis"
const untilExit = "40 millis"

/** Ends the programs, while the server answers what it can still answer. */
const endPrograms = Effect.fnUntraced(function* (served: Effect.Effect<unknown>) {
  const stopping = Effect.forEach([...runningPrograms.values()], (program) => program.stop(untilKill), {
    concurrency: "unbounded"
  })
  const all = Effect.all([stopping, served], { concurrency: "unbounded" })
  yield* Effect.raceFirst(all, Effect.andThen(Effect.sleep(untilKill), Effect.sleep(untilExit)))
})

const watchSignals = (ending: Deferred.Deferred<number>) =>
  Effect.sync(() => {
    for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.removeAllListeners(name)
      process.on(name, () => Deferred.doneUnsafe(ending, Effect.succeed(128 + constants.signals[name])))
    }
    process.on("uncaughtException", () => {
      printNotice("secrets mcp: it failed unexpectedly")
      Deferred.doneUnsafe(ending, Effect.succeed(exitStatus.failed))
    })
  })

const parentInterval = "10 seconds"

/** Completes when the parent is gone: a client that was killed may leave its pipes open in other processes. */
const watchParent = Effect.fnUntraced(function* (ending: Deferred.Deferred<number>) {
  const parent = process.ppid
  while (process.ppid === parent) yield* Effect.sleep(parentInterval)
  yield* Deferred.succeed(ending, exitStatus.done)
})
