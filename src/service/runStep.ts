/**
 * Does one step with a supervisor's tool, and waits until what it began is over.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { SupervisorStep } from "./Supervisor.ts"
import type { ToolEnvironment, ToolFailed } from "./runTool.ts"
import { toolMessage, toolFailed, runTool } from "./runTool.ts"

/** The daemon ends within five seconds, or is killed then. */
const patience = Duration.seconds(15)

export interface StepOptions {
  readonly environment: ToolEnvironment
  /** What helps against a complaint of the tool, by what stands in it. */
  readonly hints: ReadonlyArray<readonly [pattern: RegExp, fix: string]>
  readonly isGone: Effect.Effect<boolean, ToolFailed>
}

export const runStep = Effect.fnUntraced(function* (step: SupervisorStep, { environment, hints, isGone }: StepOptions) {
  const { passes = [], untilGone = false, words } = step
  const said = yield* runTool(words, environment)
  if (said.status !== 0 && !passes.includes(said.status)) {
    const reason = toolMessage(said)
    const [, fix = ""] = hints.find(([pattern]) => pattern.test(reason)) ?? []
    return yield* toolFailed(words, reason, fix)
  }
  if (!untilGone) return
  yield* isGone.pipe(
    Effect.repeat({ until: (gone) => gone, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(toolFailed(words, `the job is still there after ${Duration.toSeconds(patience)} s`, "Try it again"))
    })
  )
})
