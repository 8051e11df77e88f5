/**
 * The heartbeat: a dead man's switch. While an endpoint answers, all is well; when
 * it does not, the killswitch does what it was told to.
 *
 * The first look comes one interval after the start, so that a start by itself
 * never fires it. It fires once for each time the endpoint is lost, after so many
 * failures in a row, and is armed again when the endpoint answers.
 */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import { heartbeatFact } from "../../domain/AuditEntry.ts"
import type { HeartbeatSettings } from "../../domain/Config.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { killswitch } from "../operations/killswitch.ts"

export interface HeartbeatState {
  readonly consecutiveFailures: number
  /** Whether it has fired and the endpoint has not answered since. */
  readonly fired: boolean
}

export const disabledHeartbeat: HeartbeatState = { consecutiveFailures: 0, fired: false }

/** The loop that watches, and what status says of it: the settings as they are written, and how it goes. */
export const startHeartbeat = Effect.fnUntraced(function* (settings: HeartbeatSettings | undefined) {
  if (settings === undefined) return { watch: Effect.never, status: Effect.succeed(undefined) }
  const state = yield* Ref.make(disabledHeartbeat)
  const { failAction, interval, timeout, url } = settings
  return {
    watch: watchHeartbeat(settings, state, probeEndpoint(settings)),
    status: Effect.map(Ref.get(state), ({ consecutiveFailures, fired }) => ({
      enabled: true,
      url,
      interval: Number(interval),
      timeout: Number(timeout),
      fail_action: {
        revoke_all: failAction.revokeAll,
        rotate_all: failAction.rotateAll,
        wipe_store: failAction.wipeStore
      },
      failures_in_a_row: consecutiveFailures,
      fired
    }))
  }
})

/** Looks for ever. `probe` fails with the reason why the endpoint is not well. */
export const watchHeartbeat = (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Effect.Effect<void, string>
) =>
  Effect.sleep(toMillis(settings.interval)).pipe(
    Effect.andThen(look(settings, state, probe).pipe(Effect.repeat(Schedule.fixed(toMillis(settings.interval)))))
  )

const look = Effect.fnUntraced(function* (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Effect.Effect<void, string>
) {
  const audit = yield* AuditLog
  const reason = yield* Effect.match(probe, { onFailure: (why) => why, onSuccess: () => undefined })
  const before = yield* Ref.get(state)
  if (reason === undefined) {
    if (before.consecutiveFailures > 0) yield* Effect.logInfo("heartbeat: the endpoint answers again")
    return yield* Ref.set(state, disabledHeartbeat)
  }
  const consecutiveFailures = before.consecutiveFailures + 1
  const fires = !before.fired && consecutiveFailures >= settings.maxFailures
  yield* Ref.set(state, { consecutiveFailures, fired: before.fired || fires })
  if (!before.fired) yield* Effect.ignore(audit.append([heartbeatFact(`heartbeat failed: ${reason}`)]))
  if (!fires) return
  yield* Effect.logError(`heartbeat: ${reason}; the killswitch is activated`)
  const { failures } = yield* killswitch(settings.failAction)
  for (const failure of failures) yield* Effect.logError(`heartbeat: ${failure}`)
})

/** Asks the endpoint; anything but a 2xx answer within the timeout is a failure. The reason holds no part of the address. */
export const probeEndpoint = (settings: HeartbeatSettings): Effect.Effect<void, string> =>
  Effect.tryPromise({
    try: (signal) => fetch(settings.url, { signal, headers: { "user-agent": "agent-secrets" } }),
    catch: (cause) => {
      const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
      return reason instanceof Error && "code" in reason ? String(reason.code) : "no connection"
    }
  }).pipe(
    Effect.flatMap((response) =>
      Effect.andThen(
        Effect.promise(() => response.body?.cancel() ?? Promise.resolve()),
        response.ok ? Effect.void : Effect.fail(`HTTP ${response.status}`)
      )
    ),
    Effect.timeoutOrElse({ duration: toMillis(settings.timeout), orElse: () => Effect.fail("no answer in time") })
  )
