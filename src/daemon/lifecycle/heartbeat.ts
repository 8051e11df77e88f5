/**
 * The heartbeat: a dead man's switch that activates the killswitch if an endpoint fails.
 *
 * The first success after a start arms it; until then nothing counts. It fires after a number
 * of consecutive failures, once per outage, and is armed again when the endpoint responds.
 * What cannot be undone waits for three failures. A request that could not be sent, and a
 * failure soon after the machine slept, say nothing about the endpoint and do not count.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { heartbeatFact } from "../../domain/daemonFacts.ts"
import type { HeartbeatSettings } from "../../domain/Config.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { longestNap, sleepUntil } from "../../process/sleepUntil.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { killswitch, type KillswitchOptions } from "../operations/killswitch.ts"

export interface HeartbeatState {
  /** Whether the endpoint has responded since the start. */
  readonly armed: boolean
  readonly consecutiveFailures: number
  /** The number of stages that have run in the current outage. */
  readonly fired: number
}

export const unarmedHeartbeat: HeartbeatState = { armed: false, consecutiveFailures: 0, fired: 0 }
export const armedHeartbeat: HeartbeatState = { ...unarmedHeartbeat, armed: true }

/** Fails with a reason. "no answer" counts as a failure of the endpoint; "not sent" is a fault of this machine or a setting. */
export type Probe = Effect.Effect<void, readonly ["no answer" | "not sent", reason: string]>

/** Returns the loop that checks the endpoint, and its settings and state for a status request. */
export const startHeartbeat = Effect.fn("startHeartbeat")(function* (settings: HeartbeatSettings | undefined) {
  if (settings === undefined) return { watch: Effect.never, status: Effect.succeed(undefined) }
  const state = yield* Ref.make(unarmedHeartbeat)
  const { failAction, interval, maxFailures, timeout, url } = settings
  if ((failAction.rotateAll || failAction.wipeStore) && maxFailures < minIrreversible) {
    yield* Effect.logWarning(
      `heartbeat: max_failures is ${maxFailures}; rotate_all and wipe_store wait for ${minIrreversible} failures`
    )
  }
  return {
    watch: watchHeartbeat(settings, state, probeEndpoint(settings)),
    status: Effect.map(Ref.get(state), ({ armed, consecutiveFailures, fired }) => ({
      enabled: true,
      // The rest may hold a token.
      url: new URL(url).origin,
      interval: Number(interval),
      timeout: Number(timeout),
      fail_action: {
        revoke_all: failAction.revokeAll,
        rotate_all: failAction.rotateAll,
        wipe_store: failAction.wipeStore
      },
      armed,
      failures_in_a_row: consecutiveFailures,
      fired: fired > 0
    }))
  }
})

/** Checks forever, at the interval. */
export const watchHeartbeat = Effect.fnUntraced(function* (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Probe
) {
  const interval = toMillis(settings.interval)
  const gaps = yield* gapDetector
  let logged = ""
  /** Logs what does not count, once until it changes. */
  const ignoreFailure = (text: string) =>
    Effect.suspend(() => (text === logged ? Effect.void : Effect.logWarning((logged = text))))
  const mayCount = Effect.andThen(gaps.look(toMillis(settings.timeout)), gaps.mayCount)
  const check = checkEndpoint(settings, state, probe, { mayCount, ignoreFailure })
  const afterNap = gaps.look(Duration.toMillis(longestNap))
  let due = (yield* Clock.currentTimeMillis) + interval
  while (true) {
    // The killswitch may have taken long.
    yield* gaps.look(Infinity)
    yield* sleepUntil(due, afterNap)
    due = (yield* Clock.currentTimeMillis) + interval
    yield* check
  }
})

/** What ends so much later than planned, or a wall clock that went so much further, is a gap: the machine slept. */
const tolerance = 10_000
/** After a gap the network needs some time. */
const settling = 60_000

interface Counting {
  /** Runs after each check; returns whether its failure may count, or that there was a gap since the last one. */
  readonly mayCount: Effect.Effect<boolean | "gap">
  readonly ignoreFailure: (text: string) => Effect.Effect<void>
}

const gapDetector = Effect.gen(function* () {
  const clocks = Effect.all([
    Clock.currentTimeMillis,
    Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
  ])
  let [lastWall, last] = yield* clocks
  let [settled, isNew] = [last, false]
  /** Looks for a gap since the last look; without one, what came between took at most `longest`. */
  const look = (longest: number) =>
    Effect.map(clocks, ([wall, now]) => {
      const elapsed = now - last
      const isGap = elapsed > longest + tolerance || Math.abs(wall - lastWall - elapsed) > tolerance
      ;[lastWall, last] = [wall, now]
      if (isGap) [settled, isNew] = [now + settling, true]
    })
  const mayCount = Effect.sync(() => {
    const wasNew = isNew
    isNew = false
    return wasNew ? ("gap" as const) : last >= settled
  })
  return { look, mayCount }
})

const checkEndpoint = Effect.fn("checkEndpoint")(function* (
  settings: HeartbeatSettings,
  state: Ref.Ref<HeartbeatState>,
  probe: Probe,
  { ignoreFailure, mayCount }: Counting
) {
  const audit = yield* AuditLog
  const failure = yield* Effect.match(probe, { onFailure: (found) => found, onSuccess: () => undefined })
  const counts = yield* mayCount
  const before = yield* Ref.get(state)
  if (failure === undefined) {
    if (!before.armed) yield* Effect.logInfo("heartbeat: the endpoint responds; the switch is armed")
    else if (before.consecutiveFailures > 0) yield* Effect.logInfo("heartbeat: the endpoint responds again")
    return yield* Ref.set(state, armedHeartbeat)
  }
  const [kind, reason] = failure
  if (kind === "not sent") return yield* ignoreFailure(`heartbeat: no request was sent: ${reason}; it does not count`)
  if (!before.armed)
    return yield* ignoreFailure(`heartbeat: ${reason}; the switch is not armed before the first success`)
  if (counts !== true) {
    // Failures before and after a gap are not consecutive.
    if (counts === "gap") yield* Ref.set(state, { ...before, consecutiveFailures: 0 })
    return yield* ignoreFailure(`heartbeat: ${reason}; it does not count so soon after the machine slept`)
  }
  const consecutiveFailures = before.consecutiveFailures + 1
  const stages = stagesOf(settings)
  const due = stages.filter((stage, at) => at >= before.fired && consecutiveFailures >= stage.after)
  yield* Ref.set(state, { armed: true, consecutiveFailures, fired: before.fired + due.length })
  if (before.fired < stages.length) yield* Effect.ignore(audit.append([heartbeatFact(`heartbeat failed: ${reason}`)]))
  for (const { steps } of due) {
    yield* Effect.logError(`heartbeat: ${reason}; activating the killswitch`)
    const { failures } = yield* killswitch(steps)
    for (const text of failures) yield* Effect.logError(`heartbeat: ${text}`)
  }
})

/** The least number of failures before a step that cannot be undone. */
const minIrreversible = 3

/** Returns what runs after how many failures: one stage, or two if the irreversible steps have to wait. */
const stagesOf = ({ failAction, maxFailures }: HeartbeatSettings) => {
  const { rotateAll, wipeStore } = failAction
  if (maxFailures >= minIrreversible || !(rotateAll || wipeStore)) return [{ after: maxFailures, steps: failAction }]
  const revoke: KillswitchOptions = { revokeAll: true, rotateAll: false, wipeStore: false }
  return [
    ...(failAction.revokeAll ? [{ after: maxFailures, steps: revoke }] : []),
    { after: minIrreversible, steps: failAction }
  ]
}

/** Requests the endpoint; anything but a 2xx response in time fails. The reason contains no part of the URL. */
export const probeEndpoint = (settings: HeartbeatSettings): Probe =>
  Effect.tryPromise({
    try: (signal) => fetch(settings.url, { signal, headers: { "user-agent": "agent-secrets" } }),
    catch: (cause) => {
      const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
      const code = reason instanceof Error && "code" in reason ? String(reason.code) : undefined
      return code === undefined || faultsHere.includes(code)
        ? (["not sent", code ?? "fetch refuses the address or a redirect"] as const)
        : (["no answer", code] as const)
    }
  }).pipe(
    Effect.flatMap((response) =>
      Effect.andThen(
        Effect.promise(() => response.body?.cancel() ?? Promise.resolve()),
        response.ok ? Effect.void : Effect.fail(["no answer", `HTTP ${response.status}`] as const)
      )
    ),
    Effect.timeoutOrElse({
      duration: toMillis(settings.timeout),
      orElse: () => Effect.fail(["no answer", "timed out"] as const)
    })
  )

/** Reasons of this machine: too many open files, no memory, no permission. `fetch` has no code for an address it refuses. */
const faultsHere = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EACCES", "EPERM", "ERR_INVALID_URL"]
