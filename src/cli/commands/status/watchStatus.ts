/**
 * secrets status --watch: polls the daemon and refreshes a full-screen view.
 *
 * Each poll is one connection with a few requests. A daemon that is down or hangs is
 * shown as not responding and polled again.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type RoundTrip, roundTrip } from "../../../rpc/client/roundTrip.ts"
import { requestLine } from "../../../rpc/client/sendRequests.ts"
import { type Shape, type Shaped, matchesShape } from "../../../domain/shape.ts"
import { readReply } from "../../../rpc/protocol/reply.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import { loadDaemon } from "../../command/settings.ts"
import { openScreen } from "../../terminal/screen.ts"
import type { statusCommand } from "./status.ts"
import {
  type AcquireMetrics,
  type StatusFrame,
  metricsDelta,
  parseAcquireMetrics,
  pollExamples,
  renderFrame
} from "./statusFrame.ts"

export type StatusArgs = ArgsOf<typeof statusCommand.flags>

const requestLines = [
  requestLine("secrets.status", {}, 1),
  requestLine("daemon.status", {}, 2),
  requestLine("daemon.metrics", {}, 3),
  requestLine("secrets.leases", { limit: 1, top: 5 }, 4),
  requestLine("secrets.audit", { tail: 20 }, 5)
]

/** State kept between polls. */
interface WatchState {
  frame: StatusFrame
  lastReplyAt: number
  metrics: { readonly at: number; readonly metrics: AcquireMetrics } | undefined
}

/** In seconds, between two polls. */
const minInterval = 0.2

export const watchStatus = Effect.fnUntraced(function* (args: StatusArgs) {
  const interval = Number(args.positionals[0] ?? "1")
  if (!(interval >= minInterval && interval <= 3600))
    return yield* failUsage(`SECONDS must be from ${minInterval} to 3600`, "For example: secrets status --watch 2")
  const { socketPath, timeout } = yield* loadDaemon(args)
  if (!process.stdout.isTTY || process.env["TERM"] === "dumb" || args.flag("json"))
    return yield* failUsage("--watch requires an interactive terminal", "Poll instead: secrets status --json")
  const colour = (process.env["NO_COLOR"] ?? "") === ""
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
    yield* Effect.sleep(interval * 1000)
  })
  yield* draw
  const redraw = Effect.forever(Effect.andThen(screen.resized, draw))
  yield* Effect.raceAllFirst([screen.ended, Effect.forever(poll), redraw])
  return { result: {} }
}, Effect.scoped)

const queryAll = (socketPath: string, timeout: Duration.Duration) =>
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

/** Returns undefined without a status. */
const readReplies = (replies: ReadonlyArray<string>) => {
  const status = resultOf(replies[0], pollExamples.status)
  if (status === undefined) return undefined
  return {
    metrics: parseAcquireMetrics(resultOf(replies[2], { text: "" })?.text ?? ""),
    snapshot: {
      status,
      diagnostics: resultOf(replies[1], pollExamples.diagnostics),
      leases: resultOf(replies[3], pollExamples.leases),
      audit: resultOf(replies[4], pollExamples.audit)
    }
  }
}

const resultOf = <const T extends Shape>(line: string | undefined, example: T): Shaped<T> | undefined => {
  const reply = readReply(line)
  return reply?.error === undefined && matchesShape(reply?.result, example) ? reply?.result : undefined
}
