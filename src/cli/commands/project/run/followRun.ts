/**
 * Watches a run: asks the daemon what has happened to its secrets, and waits for the reply.
 *
 * A daemon that is away is asked again after a pause that grows. One that has restarted takes up
 * the run from the last audit entry that is known, so that nothing in between is lost.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { MethodName } from "../../../../rpc/protocol/methods.ts"
import type { ReplyError, RpcReply } from "../../../../rpc/protocol/reply.ts"
import { matchesShape, optional } from "../../../../domain/shape.ts"
import { begunExample, type KnownRun } from "./registerRun.ts"
import type { News } from "./programStates.ts"

export interface FollowedRun {
  readonly run: KnownRun
  readonly pid: number
  /** The parameters of `runs.begin`, with the leases as they are now. */
  readonly beginParams: () => object
  /** The same to take the run up. */
  readonly takeUpParams: () => object
  /** The leases of a program that was started again, until the daemon knows them. */
  given?: object | undefined
  readonly offer: (news: News) => void
  /** In milliseconds: without a reply for so long, the daemon is lost. */
  readonly requireDaemon: number | undefined
  /** Reports that the daemon refuses to watch the run. */
  readonly onRefusal: (error: ReplyError) => Effect.Effect<void>
}

/** Sends a request on one connection, once. Undefined if there is no reply. */
export type Ask = (method: MethodName, params: object) => Effect.Effect<RpcReply | undefined>

/** A watch without news is answered after this time, in seconds. */
const longestWatch = 50
/** Then the reply of a daemon that works arrives within this time. */
const replyTimeout = Duration.seconds(10)

/** In milliseconds. */
const firstPause = 250
const longestPause = 5_000

const noticedExample = { kind: "", secret_name: optional("") }
const watchedExample = { events: [noticedExample], cursor: 0, stopping: optional<boolean>(true) }

type Polled = "answered" | "away" | "refused"

/** Watches until it is interrupted, or the daemon refuses to. */
export const followRun = Effect.fnUntraced(function* (ask: Ask, watch: FollowedRun) {
  const { offer, requireDaemon: limit } = watch
  const seconds = limit === undefined ? longestWatch : Math.min(longestWatch, Math.max(1, Math.floor(limit / 3000)))
  const answered = untilAnswered(Effect.suspend(() => poll(ask, watch, seconds)))
  // A process that was stopped, or a machine that slept, sees its timer before the reply.
  const lastChance = Effect.map(Effect.timeoutOption(poll(ask, watch, 0), replyTimeout), Option.getOrUndefined)
  let isLost = false
  while (true) {
    const outcome: Polled | undefined = yield* limit === undefined || isLost
      ? answered
      : Effect.timeoutOrElse(answered, { duration: limit, orElse: () => lastChance })
    if (outcome === "refused" && limit === undefined) return
    isLost = outcome !== "answered"
    if (isLost) offer({ because: "daemon lost" })
    if (outcome === "refused") return
  }
})

/** Repeats a poll while the daemon is away. */
const untilAnswered = Effect.fnUntraced(function* (poll: Effect.Effect<Polled>) {
  let pause = firstPause
  while (true) {
    const outcome = yield* poll
    if (outcome !== "away") return outcome
    yield* Effect.sleep(pause * (0.8 + 0.4 * (yield* Random.next)))
    pause = Math.min(2 * pause, longestPause)
  }
})

/** Asks once for news; first makes the run known to a daemon that does not know it. */
const poll = Effect.fnUntraced(function* (ask: Ask, watch: FollowedRun, seconds: number): Effect.fn.Return<Polled> {
  const { beginParams, offer, pid, run, takeUpParams } = watch
  if (run.runId === undefined) return yield* begin(ask, watch, beginParams())
  const asked = { run_id: run.runId, after: run.cursor, timeout: String(seconds), pid, ...watch.given }
  const limit = Duration.sum(Duration.seconds(seconds), replyTimeout)
  const reply = Option.getOrUndefined(yield* Effect.timeoutOption(ask("runs.watch", asked), limit))
  if (reply?.error?.tag === "RunNotFound") return yield* begin(ask, watch, takeUpParams())
  if (reply?.error !== undefined) return yield* refused(reply.error, watch)
  if (!matchesShape(reply?.result, watchedExample)) return "away"
  const { cursor, events, stopping } = reply.result
  // In one step: an interruption neither loses news nor gives it twice.
  for (const { kind, secret_name: secretName } of events) if (isKnown(kind)) offer({ because: kind, secretName })
  run.cursor = cursor
  watch.given = undefined
  return stopping === true ? "away" : "answered"
})

const begin = Effect.fnUntraced(function* (ask: Ask, watch: FollowedRun, params: object): Effect.fn.Return<Polled> {
  const reply = Option.getOrUndefined(yield* Effect.timeoutOption(ask("runs.begin", params), replyTimeout))
  if (reply?.error !== undefined) return yield* refused(reply.error, watch)
  if (!matchesShape(reply?.result, begunExample)) return "away"
  watch.run.runId = reply.result.run_id
  watch.run.cursor = reply.result.cursor
  return "answered"
})

/** The daemon cannot serve now, but later. */
const transient: ReadonlySet<string | undefined> = new Set([
  "Stopping",
  "TooManyConnections",
  "MemoryExceeded",
  "AuditLogError",
  "InternalError"
])

const refused = Effect.fnUntraced(function* (error: ReplyError, { onRefusal }: FollowedRun): Effect.fn.Return<Polled> {
  if (transient.has(error.tag)) return "away"
  yield* onRefusal(error)
  return "refused"
})

/** Returns whether it is news that this program understands: a newer daemon may report more. */
const isKnown = (kind: string): kind is Exclude<News["because"], "daemon lost"> =>
  ["revoked", "killswitch", "deleted", "locked", "changed", "expired"].includes(kind)
