/**
 * Events through `joelclaw otel emit`, as it really behaves.
 *
 * It reads its standard input to the end before anything else and does not hear
 * SIGTERM meanwhile; it exits 0 when it failed; it costs about half a second of CPU.
 * So: the event goes in on standard input, which is closed; one process at a time; a
 * deadline that ends in SIGKILL for its process group; success is `ok` in its answer.
 * Where it is not there it is looked for again. Source: the joelclaw contract, sections 1 and 2.3.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import type { Envelope } from "./delivery.ts"
import { EmitFailed, startDelivery } from "./delivery.ts"
import { findJoelclaw } from "./findJoelclaw.ts"

export interface JoelclawOptions {
  /** The absolute path of the command; undefined if it is not there yet. */
  readonly command: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends one emission; it starts in half a second and gives its own request 1.5 s. */
  readonly deadline?: Duration.Input
  /** What the events that are left get at the end. */
  readonly farewell?: Duration.Input
}

/** Somebody installs it, or a home directory comes late: the daemon need not be restarted for that. */
const lookAgainAfter = Duration.seconds(30)

/** Starts the worker; gives the members of the sink. At the end of the scope the last events get a moment, then it is over. */
export const startJoelclaw = Effect.fnUntraced(function* (options: JoelclawOptions) {
  const { environment } = options
  let { command } = options
  const found = yield* Deferred.make<void>()

  const run = Effect.fnUntraced(function* (event: Envelope) {
    if (command === undefined) return yield* new EmitFailed({ reason: "it is not there" })
    const { emitThrough } = yield* Effect.promise(() => import("./joelclawProcess.ts"))
    return yield* emitThrough(command, environment, event)
  })

  const deliver = (event: Envelope) =>
    run(event).pipe(
      Effect.timeout(options.deadline ?? Duration.seconds(5)),
      Effect.catchCause((cause) => Effect.fail(new EmitFailed({ reason: reasonOf(cause) })))
    )

  const look = Effect.gen(function* () {
    command = yield* findJoelclaw(environment)
    if (command === undefined) return false
    yield* Effect.logInfo(`events: joelclaw is here now, sent through ${command}`)
    return yield* Deferred.succeed(found, undefined)
  })
  const lookAgain = Effect.andThen(
    Effect.sleep(lookAgainAfter),
    Effect.repeat(look, { until: (isThere) => isThere, schedule: Schedule.spaced(lookAgainAfter) })
  )
  if (command === undefined) yield* Effect.forkScoped(lookAgain)
  else yield* Deferred.succeed(found, undefined)

  const { farewell } = options
  return yield* startDelivery({
    kind: "joelclaw",
    deliver,
    target: () => command,
    ready: Deferred.await(found),
    farewell
  })
})

const reasonOf = (cause: Cause.Cause<EmitFailed | Cause.TimeoutError | PlatformError>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) return "it could not be run"
  if (error._tag === "EmitFailed") return error.reason
  return error._tag === "TimeoutError" ? "it did not end in time" : "it could not be run"
}
