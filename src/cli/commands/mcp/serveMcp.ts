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
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { constants } from "node:os"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { printNotice } from "../../command/Output.ts"
import { listSecretsTool } from "./listSecrets.ts"
import { instructions, serverInfo } from "./mcpIdentity.ts"
import type { McpStdio } from "./mcpStdio.ts"
import { listLeasesTool, revokeLeasesTool } from "./ownLeases.ts"
import { endPrograms } from "./programRun.ts"
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

/** Returns the standard input and output of Effect's server. */
const layerOf = ({ take, write }: McpStdio): Layer.Layer<Stdio.Stdio> =>
  Layer.succeed(
    Stdio.Stdio,
    Stdio.make({
      args: Effect.succeed([]),
      stdinIsTerminal: Effect.succeed(false),
      stdoutIsTerminal: Effect.succeed(false),
      stderrIsTerminal: Effect.succeed(false),
      stdin: Stream.fromPull(Effect.succeed(Effect.map(take, (line) => [new TextEncoder().encode(line)] as const))),
      stdout: () => Sink.forEach((line) => write(typeof line === "string" ? line : new TextDecoder().decode(line))),
      stderr: () => Sink.drain
    })
  )

/** Serves until the end, and exits. */
export const serveMcp = Effect.fnUntraced(function* (session: McpSession, stdio: McpStdio) {
  const ending = yield* Deferred.make<number>()
  yield* watchSignals(ending)
  yield* Effect.forkChild(watchParent(ending))
  yield* Effect.forkChild(Effect.andThen(stdio.closed, Deferred.succeed(ending, exitStatus.done)))
  const server = McpServer.layerStdio({
    ...serverInfo,
    instructions,
    protocols,
    registrations: registrationsOf(session)
  })
  const serving = yield* server.pipe(
    Layer.provide(layerOf(stdio)),
    Layer.provide(silentLogger),
    Layer.launch,
    Effect.forkChild
  )
  const status = yield* Deferred.await(ending)
  yield* endPrograms(Fiber.await(serving))
  return yield* Effect.sync(() => process.exit(status))
}, Effect.uninterruptible)

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
