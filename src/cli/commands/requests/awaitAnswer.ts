/**
 * Waits for a person to answer a request.
 *
 * The daemon answers a lease that needs an approval at once, with the id of a request; waiting is
 * another call. After the end of the request the lease is asked for again, and its error says how
 * it ended. A restart of the daemon forgets requests, so then another one is waited for.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { agentVariable } from "../../../domain/agentVariables.ts"
import { parseSpelledDuration, toMillis } from "../../../domain/GoDuration.ts"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { type CommandError, fromClient } from "../../command/CommandError.ts"
import type { Address } from "../../command/daemonAddress.ts"
import { type Problem, printNotice } from "../../command/Output.ts"

/** The longest wait of one call, in seconds; the daemon takes no more. */
const longestPoll = 50
/** How long the answer to a call may take beyond that. */
const answerTime = Duration.seconds(5)
/** Between two calls to a daemon that stops. */
const restartTime = Duration.millis(250)

/** How long a person who is there has, in milliseconds. */
const onTerminal = 10 * 60_000

const waitExample = { state: "", stopping: optional(true) }

/** Returns the end of waiting for a person, on the monotonic clock; `given` is checked by `approvalWaitError`. */
export const endOfWait = (given: string | undefined): Effect.Effect<number> =>
  Effect.map(monotonicMillis, (now) => {
    if (given !== undefined) return now + toMillis(Result.getOrElse(parseSpelledDuration(given), () => 0n))
    return isInteractive() && agentVariable(process.env) === undefined ? now + onTerminal : now
  })

/** Waits until the first of the requests has ended; returns false if it is still open when the wait ends. */
export const awaitAnswer = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  requestIds: ReadonlyArray<string>,
  end: number
): Effect.fn.Return<boolean, CommandError> {
  const [requestId = ""] = requestIds
  while (true) {
    const left = (end - (yield* monotonicMillis)) / 1000
    if (left <= 0) return false
    tellWaiting(requestIds)
    const timeout = Math.min(left, longestPoll)
    const polling = { ...daemon, timeout: Duration.sum(Duration.seconds(timeout), answerTime) }
    const waiting = call(polling, "approvals.wait", { request_id: requestId, timeout }, waitExample)
    const { state, stopping } = yield* waiting.pipe(
      Effect.catchIf(
        (error) => error._tag === "RequestRejected" && error.tag === "RequestNotFound",
        () => Effect.succeed({ state: "forgotten", stopping: undefined })
      ),
      Effect.mapError(fromClient)
    )
    if (state !== "pending") return true
    if (stopping === true) yield* Effect.sleep(restartTime)
  }
})

/**
 * Waits on the fast path for the request of a problem, until `until` or the end that the flag names. Returns when the wait
 * ends, for the next one, or the problem if the request is still open then.
 */
export const awaitOnFastPath = (address: Address, pending: Problem, given: string | undefined, until?: number) =>
  Effect.gen(function* () {
    const end = until ?? (yield* endOfWait(given))
    const daemon = { ...address, timeout: Duration.seconds(address.seconds) }
    return (yield* awaitAnswer(daemon, [pending.request?.request_id ?? ""], end)) ? end : pending
  }).pipe(
    Effect.catch((failure) => Effect.succeed<Problem>(failure)),
    Effect.runPromise
  )

const told = new Set<string>()

const tellWaiting = (requestIds: ReadonlyArray<string>): void => {
  for (const id of requestIds) if (!told.has(id)) printNotice(`waiting for approval: secrets approve ${id}`)
  for (const id of requestIds) told.add(id)
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))
