/**
 * Runs a command as an Effect, prints its output and exits with its status.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Result from "effect/Result"
import type * as Runtime from "effect/Runtime"
import { exitStatus } from "../domain/exitStatus.ts"
import type { Command, findCommand } from "./command/Command.ts"
import { commandHelp } from "./command/help.ts"
import { explainAbsent } from "./command/failedProblem.ts"
import { isUndoing, printOutput, printProblem } from "./command/Output.ts"

/** Runs a command with the arguments that are left for it, once it is loaded. */
export const runMain = ({ name, rest }: ReturnType<typeof findCommand>, load: () => Promise<Command<never>>): void => {
  /** `serve` ends by a signal alone, so that is its success. */
  let interrupted: number = name === "serve" ? exitStatus.done : exitStatus.interrupted
  if (name !== "serve") process.once("SIGTERM", () => void (interrupted = exitStatus.terminated))
  const teardown: Runtime.Teardown = (exit, onExit) => {
    if (Exit.isSuccess(exit)) onExit(typeof exit.value === "number" ? exit.value : exitStatus.done)
    else onExit(Cause.hasInterruptsOnly(exit.cause) ? interrupted : exitStatus.failed)
  }
  runCommand(load, rest).pipe(
    Effect.tapCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : report(cause))),
    // Log lines of a command without a logger of its own must not be mixed into its result.
    Effect.provideService(References.LogToStderr, true),
    NodeRuntime.runMain({ disableErrorReporting: true, teardown })
  )
}

/** Returns the exit status. */
const runCommand = Effect.fnUntraced(function* (load: () => Promise<Command<never>>, args: ReadonlyArray<string>) {
  const command: Command<never> = yield* Effect.promise(load)
  const parsed = command.parse(args)
  if (parsed.kind === "help") return printOutput(command.spec.name, parsed.json, commandHelp(command.spec))
  if (parsed.kind === "usage-error") return printProblem(command.spec.name, parsed.json, parsed.problem)
  const exit = yield* Effect.result(Effect.catchDefect(parsed.run(), dieUnlessRemoved))
  const status = Result.isFailure(exit)
    ? printProblem(
        command.spec.name,
        parsed.json,
        yield* Effect.promise(() => explainAbsent(parsed.args, exit.failure))
      )
    : printOutput(command.spec.name, parsed.json, exit.success)
  return isUndoing() ? yield* Effect.never : status
})

/** Fails plainly if the current directory was removed: Node then throws where it resolves a relative path. */
const dieUnlessRemoved = Effect.fnUntraced(function* (defect: unknown) {
  const { workingDirectory } = yield* Effect.promise(() => import("./command/CommandError.ts"))
  yield* workingDirectory
  return yield* Effect.die(defect)
})

const report = (cause: Cause.Cause<unknown>) =>
  Effect.flatMap(
    Effect.promise(() => import("./command/stderrLogger.ts")),
    ({ stderrLogger }) => Effect.provide(Effect.logFatal("unexpected error", Cause.pretty(cause)), stderrLogger)
  )
