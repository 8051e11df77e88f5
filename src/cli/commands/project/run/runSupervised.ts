/**
 * Runs a program with values in its environment, and once more whenever they have changed and a
 * restart is wished.
 */
import * as Effect from "effect/Effect"
import type { EnvVariable } from "../../../../domain/envFile.ts"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import type { CommandError } from "../../../command/CommandError.ts"
import { variablesOf } from "../leaseAll.ts"
import type { ChildEnd, ChildOptions, RunningChild } from "../runChild.ts"
import type { RunEnd } from "./registerRun.ts"
import type { Supervised } from "./supervisor.ts"
import type { ProgramOutcome } from "./programStates.ts"

type Leased = Parameters<typeof variablesOf>[0]

/** Starts the program with these variables. */
export type StartProgram = (
  variables: ReadonlyArray<EnvVariable>,
  options: Pick<ChildOptions<ProgramOutcome<Leased> | undefined>, "monitor" | "withoutInput">
) => Effect.Effect<ChildEnd<ProgramOutcome<Leased> | undefined>, CommandError>

/** Many programs are over before. What is revoked meanwhile, the first watch reports. */
const loadDelay = "100 millis"

/** Returns how the last program ended. */
export const runSupervised = Effect.fnUntraced(function* (
  start: StartProgram,
  first: ReadonlyArray<EnvVariable>,
  supervised: Supervised
): Effect.fn.Return<RunEnd, CommandError> {
  const isSupervised =
    supervised.leased?.run !== undefined ||
    supervised.proxyNews !== undefined ||
    supervised.rules.onExpiry.kind !== "ignore"
  const load = yield* Effect.cached(
    Effect.promise(() => import("./supervisor.ts")).pipe(
      Effect.flatMap(({ makeSupervisor }) => makeSupervisor(supervised)),
      Effect.delay(loadDelay)
    )
  )
  const monitor = (running: RunningChild) =>
    Effect.flatMap(Effect.raceFirst(Effect.as(running.exited, undefined), load), (attend) =>
      attend === undefined ? Effect.undefined : attend(running)
    )
  let variables = first
  let withoutInput = false
  while (true) {
    const { signal, status, watched } = yield* start(variables, {
      ...(isSupervised && { monitor }),
      withoutInput
    })
    if (watched?.hasGivenUp === true) return { status: exitStatus.tooManyRestarts, because: watched.because }
    if (watched?.again === undefined) return { status, signal, because: watched?.because }
    variables = variablesOf(watched.again)
    if (supervised.leased !== undefined) supervised.leased.given = watched.again
    // What the program before it has read is gone.
    withoutInput = !process.getBuiltinModule("node:tty").isatty(0)
  }
})
