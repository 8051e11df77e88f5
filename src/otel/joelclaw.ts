/**
 * Emits events through `joelclaw otel emit`, and looks for joelclaw until it is found.
 * joelclaw reads its standard input to the end before it handles SIGTERM, exits 0 on
 * failure, and is expensive to start. So one process runs at a time, a timeout kills its
 * process group with SIGKILL, and success is `ok` in its output. Source: the joelclaw
 * contract, sections 1 and 2.3.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import { EmitFailed, type Envelope, startDelivery } from "./delivery.ts"
import { findJoelclaw } from "./findJoelclaw.ts"

export interface JoelclawOptions {
  /** The absolute path of the command; undefined if it was not found. */
  readonly command: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** For one event. joelclaw limits its own request to 1.5 s. */
  readonly emitTimeout?: Duration.Input
  readonly shutdownTimeout?: Duration.Input
}

/** joelclaw may be installed, or a home directory mounted, while the daemon runs. */
const lookupInterval = Duration.seconds(30)

/** Emits events until the scope ends. */
export const startJoelclaw = Effect.fnUntraced(function* (options: JoelclawOptions) {
  const { environment, shutdownTimeout } = options
  let { command } = options
  const found = yield* Deferred.make<void>()

  const timeout = options.emitTimeout ?? Duration.seconds(5)
  const emitOnce = Effect.fnUntraced(function* (known: string, event: Envelope) {
    const { runJoelclaw } = yield* Effect.promise(() => import("./runJoelclaw.ts"))
    return yield* runJoelclaw(known, { environment, timeout }, event)
  })
  const deliver = (event: Envelope) =>
    (command === undefined ? new EmitFailed({ reason: "not found" }) : emitOnce(command, event)).pipe(
      Effect.timeout(timeout),
      Effect.catchCause((cause) => Effect.fail(new EmitFailed({ reason: reasonOf(cause) })))
    )

  const lookup = Effect.gen(function* () {
    command = yield* findJoelclaw(environment)
    if (command === undefined) return false
    yield* Effect.logInfo(`events: found joelclaw, sending through ${command}`)
    return yield* Deferred.succeed(found, undefined)
  })
  const lookupUntilFound = Effect.andThen(
    Effect.sleep(lookupInterval),
    Effect.repeat(lookup, { until: (isFound) => isFound, schedule: Schedule.spaced(lookupInterval) })
  )
  if (command === undefined) yield* Effect.forkScoped(lookupUntilFound)
  else yield* Deferred.succeed(found, undefined)

  return yield* startDelivery({
    kind: "joelclaw",
    deliver,
    target: () => command,
    ready: Deferred.await(found),
    shutdownTimeout
  })
})

const reasonOf = (cause: Cause.Cause<EmitFailed | Cause.TimeoutError | PlatformError>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error?._tag === "EmitFailed") return error.reason
  return error?._tag === "TimeoutError" ? "timeout" : "cannot be run"
}
