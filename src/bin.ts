/**
 * The entry of `secrets`: runs the command line and exits with its status.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import type * as Runtime from "effect/Runtime"
import { nameAt } from "./cli/Command.ts"
import { exitCode } from "./cli/exitCode.ts"
import { main } from "./cli/main.ts"

/** Whoever is told to stop and stops has done its job; `serve` knows no other end. */
const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) onExit(typeof exit.value === "number" ? exit.value : exitCode.done)
  else onExit(Cause.hasInterruptsOnly(exit.cause) ? interrupted : exitCode.failed)
}

const args = process.argv.slice(2)
const interrupted = args[nameAt(args)] === "serve" ? exitCode.done : exitCode.interrupted

main(args).pipe(
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logFatal("secrets broke down", Cause.pretty(cause))
  ),
  Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)
