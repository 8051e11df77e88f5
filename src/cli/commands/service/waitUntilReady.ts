/**
 * Waits until a daemon answers that a supervisor was told to start, and not longer
 * than there is hope: one that was given up, or ends for a lasting reason, is enough.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { NotServing } from "../../../service/applyPlan.ts"
import { describeExit, exitHint } from "../../../service/lastExit.ts"
import type { SupervisorShape } from "../../../service/Supervisor.ts"
import { probeDaemon } from "./probeDaemon.ts"

/** Above the ten seconds that launchd may wait between two starts. */
const patience = Duration.seconds(20)

export const waitUntilReady = (socketPath: string, supervisor: SupervisorShape) => {
  const look = Effect.gen(function* () {
    const answer = yield* probeDaemon(socketPath)
    if (answer !== undefined) return answer
    const { lastEnd, phase } = yield* supervisor.state
    const hopeless = phase === "failed" || (phase === "failing" && exitHint(lastEnd) !== undefined)
    if (!hopeless) return undefined
    const how = lastEnd === undefined ? "" : `: ${describeExit(lastEnd)}`
    return yield* new NotServing({
      message: `the service was started, and the daemon ended${how}`,
      fix: exitHint(lastEnd) ?? "See what it says: secrets serve"
    })
  })
  return look.pipe(
    Effect.repeat({ until: (answer) => answer !== undefined, schedule: Schedule.spaced("100 millis") }),
    Effect.flatMap((answer) => (answer === undefined ? Effect.never : Effect.succeed(answer))),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(
          new NotServing({
            message: `the service was started, and no daemon answered within ${Duration.toSeconds(patience)} s`,
            fix: "See what it says: secrets serve"
          })
        )
    })
  )
}
