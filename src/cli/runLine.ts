/**
 * Runs a command with whatever it needs, and exits with its status.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import type * as Runtime from "effect/Runtime"
import { PossiblyDelivered } from "../rpc/client/possiblyDelivered.ts"
import { commandIndex } from "./command/Command.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import { runCommand } from "./main.ts"

/** `maybeHeard`: the daemon may have done already what the line asks for, and its answer was lost. */
export const runMain = (args: ReadonlyArray<string>, maybeHeard: boolean): void => {
  const interrupted = args[commandIndex(args)] === "serve" ? exitStatus.done : exitStatus.interrupted
  /** Whoever is told to stop and stops has done its job; `serve` knows no other end. */
  const teardown: Runtime.Teardown = (exit, onExit) => {
    if (Exit.isSuccess(exit)) onExit(typeof exit.value === "number" ? exit.value : exitStatus.done)
    else onExit(Cause.hasInterruptsOnly(exit.cause) ? interrupted : exitStatus.failed)
  }
  runCommand(args).pipe(
    Effect.tapCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : report(cause))),
    // Whatever is said by a command that has no log of its own, is not said where its result goes.
    Effect.provideService(References.LogToStderr, true),
    Effect.provideService(PossiblyDelivered, maybeHeard),
    NodeRuntime.runMain({ disableErrorReporting: true, teardown })
  )
}

const report = (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(
    Effect.promise(() => import("./command/stderrLogger.ts")),
    ({ stderrLogger }) => Effect.provide(Effect.logFatal("secrets broke down", Cause.pretty(cause)), stderrLogger)
  )
