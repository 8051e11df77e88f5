/**
 * The readiness probe: whether a daemon answers on a socket, and the wait until one does.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { call, returnsNever } from "../../../rpc/client/client.ts"
import { literal, optional } from "../../../domain/shape.ts"
import type { Observation } from "../../../service/assess.ts"
import { type Supervisor, describeExit, exitHint, NotServing } from "../../../service/Supervisor.ts"

const servingExample = { running: literal(true) }
const processExample = { pid: 0, started_by: optional("") }

/** Longer than a busy daemon takes to reply; a timeout is the only sign that it hangs. */
const probeTimeout = Duration.seconds(2)
/** Above the ten seconds that launchd may wait between two starts. */
const readyTimeout = Duration.seconds(20)

/** Returns undefined if none answers. The predecessor does not report its `pid`. */
export const probeDaemon = (socketPath: string): Effect.Effect<Observation["answer"]> =>
  Effect.gen(function* () {
    const address = { socketPath, timeout: probeTimeout, returnsSoon: returnsNever }
    const [, own] = yield* Effect.all(
      [
        call(address, "secrets.status", {}, servingExample),
        Effect.option(call(address, "daemon.status", {}, processExample))
      ],
      { concurrency: "unbounded" }
    )
    return own._tag === "Some" ? { pid: own.value.pid, startedBy: own.value.started_by } : { pid: undefined }
  }).pipe(Effect.orElseSucceed(() => undefined))

/** Waits until the started service answers. Fails early if the supervisor does not restart it, or a restart cannot help. */
export const waitUntilReady = (socketPath: string, supervisor: Supervisor) => {
  const probe = Effect.gen(function* () {
    const answer = yield* probeDaemon(socketPath)
    if (answer !== undefined) return answer
    const { lastExit, phase } = yield* supervisor.state
    const isFinal = phase === "failed" || (phase === "failing" && exitHint(lastExit) !== undefined)
    if (!isFinal) return undefined
    return yield* notServing(
      `the daemon exited after the start${lastExit === undefined ? "" : `: ${describeExit(lastExit)}`}`,
      exitHint(lastExit)
    )
  })
  return probe.pipe(
    Effect.repeat({ until: (answer) => answer !== undefined, schedule: Schedule.spaced("100 millis") }),
    Effect.flatMap((answer) => (answer === undefined ? Effect.never : Effect.succeed(answer))),
    Effect.timeoutOrElse({
      duration: readyTimeout,
      orElse: () => notServing(`no daemon answered within ${Duration.toSeconds(readyTimeout)} s after the start`)
    })
  )
}

const notServing = (message: string, fix = "See why, in the foreground: secrets serve") =>
  Effect.fail(new NotServing({ message, fix }))
