/**
 * The heartbeat: a dead man's switch that activates the killswitch if an endpoint fails.
 *
 * It fires after a number of consecutive failures, once per outage, and is armed again
 * when the endpoint responds. The first check is one interval after the start, so that a
 * start alone never fires it.
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
  /** Whether it has fired in the current outage. */
  readonly fired: boolean
}

export const disabledHeartbeat: HeartbeatState = { consecutiveFailures: 0, fired: false }

/** Returns the loop that checks the endpoint, and its settings and state for a status request. */
export const startHeartbeat = Effect.fn("startHeartbeat")(function* (settings: HeartbeatSettings | undefined) {
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

/** Checks forever; `probe` fails with the reason. */
export const watchHeartbeat = (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Effect.Effect<void, string>
) =>
  Effect.sleep(toMillis(settings.interval)).pipe(
    Effect.andThen(
      checkEndpoint(settings, state, probe).pipe(Effect.repeat(Schedule.fixed(toMillis(settings.interval))))
    )
  )

const checkEndpoint = Effect.fn("checkEndpoint")(function* (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Effect.Effect<void, string>
) {
  const audit = yield* AuditLog
  const reason = yield* Effect.match(probe, { onFailure: (message) => message, onSuccess: () => undefined })
  const previous = yield* Ref.get(state)
  if (reason === undefined) {
    if (previous.consecutiveFailures > 0) yield* Effect.logInfo("heartbeat: the endpoint responds again")
    return yield* Ref.set(state, disabledHeartbeat)
  }
  const consecutiveFailures = previous.consecutiveFailures + 1
  const fires = !previous.fired && consecutiveFailures >= settings.maxFailures
  yield* Ref.set(state, { consecutiveFailures, fired: previous.fired || fires })
  if (!previous.fired) yield* Effect.ignore(audit.append([heartbeatFact(`heartbeat failed: ${reason}`)]))
  if (!fires) return
  yield* Effect.logError(`heartbeat: ${reason}; activating the killswitch`)
  const { failures } = yield* killswitch(settings.failAction)
  for (const failure of failures) yield* Effect.logError(`heartbeat: ${failure}`)
})

/** Requests the endpoint; anything but a 2xx response in time fails. The reason contains no part of the URL. */
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
    Effect.timeoutOrElse({ duration: toMillis(settings.timeout), orElse: () => Effect.fail("timed out") })
  )
