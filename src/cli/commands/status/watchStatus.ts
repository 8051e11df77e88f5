/**
 * secrets status --watch: polls the daemon and refreshes a full-screen view.
 *
 * Each poll is one connection with a few requests. A daemon that is down or hangs is
 * shown as not responding and polled again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type RoundTrip, roundTrip } from "../../../rpc/client/roundTrip.ts"
import { requestLine } from "../../../rpc/client/sendRequests.ts"
import { type Shape, type Shaped, matchesShape, optional } from "../../../rpc/protocol/shape.ts"
import { readReply } from "../../../rpc/protocol/reply.ts"
import { type AcquireMetrics, metricsDelta, parseAcquireMetrics } from "./acquireMetrics.ts"
import { diagnosticsExample, statusExample } from "./status.ts"
import { openScreen } from "../../terminal/screen.ts"
import { type StatusFrame, type StatusSnapshot, renderFrame } from "./statusFrame.ts"

const metricsExample = { text: "" }
const leasesExample = { by_client: [{ client_id: "", count: 0 }], by_secret: [{ secret_name: "", count: 0 }] }
const entriesExample = {
  entries: [{ timestamp: "", action: "", secret_name: optional(""), client_id: optional(""), success: true }]
}

const requestLines = [
  requestLine("secrets.status", {}, 1),
  requestLine("daemon.status", {}, 2),
  requestLine("daemon.metrics", {}, 3),
  requestLine("secrets.leases", { limit: 1, top: 5 }, 4),
  requestLine("secrets.audit", { tail: 20 }, 5)
]

export interface WatchOptions {
  readonly socketPath: string
  /** Milliseconds between two polls. */
  readonly interval: number
  /** Milliseconds for one poll. */
  readonly timeout: number
  readonly colour: boolean
}

/** State kept between polls. */
interface WatchState {
  frame: StatusFrame
  lastReplyAt: number
  metrics: { readonly at: number; readonly metrics: AcquireMetrics } | undefined
}

export const watchStatus = Effect.fnUntraced(function* ({ colour, interval, socketPath, timeout }: WatchOptions) {
  const screen = yield* openScreen
  const state: WatchState = {
    frame: { socketPath, snapshot: undefined, silentMillis: undefined, rate: undefined, recent: undefined },
    lastReplyAt: yield* Clock.currentTimeMillis,
    metrics: undefined
  }
  const draw = Effect.sync(() => screen.draw(renderFrame(state.frame, { ...screen.size(), colour })))
  const poll = Effect.gen(function* () {
    const outcome = yield* queryAll(socketPath, timeout)
    update(state, outcome, yield* Clock.currentTimeMillis)
    yield* draw
    yield* Effect.sleep(interval)
  })
  yield* draw
  const redraw = Effect.forever(Effect.andThen(screen.resized, draw))
  yield* Effect.raceAllFirst([screen.ended, Effect.forever(poll), redraw])
  return { text: undefined, result: {} }
}, Effect.scoped)

const queryAll = (socketPath: string, timeout: number) =>
  Effect.callback<RoundTrip>((resume) => {
    const abort = roundTrip(socketPath, requestLines, (outcome) => resume(Effect.succeed(outcome)))
    return Effect.sync(abort)
  }).pipe(Effect.timeoutOption(timeout), Effect.map(Option.getOrUndefined))

const update = (state: WatchState, outcome: RoundTrip | undefined, now: number): void => {
  const found = outcome?._tag === "Replies" ? readReplies(outcome.lines) : undefined
  if (found === undefined) {
    state.frame = { ...state.frame, silentMillis: now - state.lastReplyAt, rate: undefined }
    return
  }
  const { metrics, snapshot } = found
  const before = state.metrics
  const delta = metricsDelta(before?.metrics, metrics)
  const seconds = before === undefined ? 0 : (now - before.at) / 1000
  state.frame = {
    ...state.frame,
    snapshot,
    silentMillis: undefined,
    rate: seconds <= 0 ? undefined : delta.acquires / seconds,
    recent: before !== undefined && delta.acquires > 0 ? delta : (state.frame.recent ?? metrics)
  }
  state.lastReplyAt = now
  state.metrics = { at: now, metrics }
}

const readReplies = (
  replies: ReadonlyArray<string>
): { snapshot: StatusSnapshot; metrics: AcquireMetrics } | undefined => {
  const status = resultOf(replies[0], statusExample)
  if (status === undefined) return undefined
  const diagnostics = resultOf(replies[1], diagnosticsExample)
  const leases = resultOf(replies[3], leasesExample)
  return {
    metrics: parseAcquireMetrics(resultOf(replies[2], metricsExample)?.text ?? ""),
    snapshot: {
      running: status.running,
      secrets: status.secrets_count,
      leases: status.active_leases,
      diagnostics: diagnostics && {
        pid: diagnostics.pid,
        version: diagnostics.version,
        uptimeMillis: diagnostics.uptime_ms,
        failure: diagnostics.audit.failure,
        sinks: diagnostics.sinks.map(
          ({ dropped, kind, queued, sent, target }) =>
            `events to ${kind}${target === undefined ? " (not installed)" : ""}: ${sent} sent, ${queued} queued, ${dropped} lost`
        )
      },
      byClient: leases?.by_client.map(({ client_id, count }) => [client_id, count] as const) ?? [],
      bySecret: leases?.by_secret.map(({ count, secret_name }) => [secret_name, count] as const) ?? [],
      entries: (resultOf(replies[4], entriesExample)?.entries ?? []).map((entry) => [
        entry.timestamp.slice(11, 19),
        entry.success ? "" : "FAILED",
        entry.action,
        entry.secret_name ?? "",
        entry.client_id ?? ""
      ])
    }
  }
}

const resultOf = <const T extends Shape>(line: string | undefined, example: T): Shaped<T> | undefined => {
  const reply = readReply(line)
  return reply?.error === undefined && matchesShape(reply?.result, example) ? reply?.result : undefined
}
