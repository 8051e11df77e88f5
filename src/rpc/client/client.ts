/**
 * One request to the daemon, and its answer.
 *
 * Where the daemon is not there yet, or goes away before it has answered, it is tried
 * again within the time the caller gives: a restart is not an error. What cannot be
 * done twice is not sent again once it may have been heard. The answer is untrusted
 * text until it is seen to be like an example.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { RoundTrip } from "./roundTrip.ts"
import { roundTrip, requestLine, responseTooLarge } from "./roundTrip.ts"
import { type MethodName, type MethodSpec, methods } from "../protocol/methods.ts"
import type { Shape, Shaped } from "../protocol/shape.ts"
import { matchesShape } from "../protocol/shape.ts"
import { PossiblyDelivered } from "./possiblyDelivered.ts"
import { notAReply, type ReplyError, readReply } from "../protocol/reply.ts"

/** There is no daemon to ask: `code` is the system's reason, such as ENOENT or EACCES. */
export class DaemonUnavailable extends Data.TaggedError("DaemonUnavailable")<{
  readonly socketPath: string
  readonly code: string
}> {}

/** The daemon answered with an error. */
export class RequestRefused extends Data.TaggedError("Refused")<ReplyError> {}

/** The daemon took the connection and gave no answer in time. */
export class RequestTimedOut extends Data.TaggedError("NoAnswer")<{ readonly seconds: number }> {}

/** What came back is not an answer of the daemon. */
export class InvalidResponse extends Data.TaggedError("BadAnswer")<{ readonly reason: string }> {}

export type ClientError = DaemonUnavailable | RequestRefused | RequestTimedOut | InvalidResponse

export interface DaemonAddress {
  readonly socketPath: string
  /** For everything together: waiting for the daemon, the request, its answer. */
  readonly timeout: Duration.Duration
}

/** The connection ended before the answer. */
class Cut extends Data.TaggedError("Cut") {}

/** The system's reasons for which it may work in a moment. */
const passing: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "EAGAIN", "ECONNRESET", "EPIPE"])
/** Short enough to meet a daemon that is there for a moment between two crashes. */
const pauses = Schedule.jittered(Schedule.min([Schedule.exponential("10 millis", 1.6), Schedule.spaced("100 millis")]))

/** Calls a method; its result must be like the example. */
export const call = <const T extends Shape>(
  daemon: DaemonAddress,
  method: MethodName,
  params: object,
  example: T
): Effect.Effect<Shaped<T>, ClientError> =>
  Effect.flatMap(request(daemon, method, params), (result) =>
    matchesShape(result, example)
      ? Effect.succeed(result)
      : Effect.fail(new InvalidResponse({ reason: `${method} has an unexpected result` }))
  )

/** Calls a method; gives its result as it came. */
export const request = (
  daemon: DaemonAddress,
  method: MethodName,
  params: object
): Effect.Effect<unknown, ClientError> =>
  Effect.flatMap(PossiblyDelivered, (maybeHeard) => {
    const { retry }: MethodSpec = methods[method]
    let [wasCut, last] = [maybeHeard, ""]
    const once = Effect.suspend(() => send(daemon, requestLine(method, params))).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error._tag === "Cut") wasCut = true
          if (error._tag === "DaemonUnavailable") last = error.code
        })
      ),
      Effect.catchIf(
        (error) => error._tag === "Refused" && wasCut && typeof retry === "object" && error.tag === retry.doneIf,
        () => Effect.succeed({ success: true })
      )
    )
    const mayBeSentAgain = (error: ClientError | Cut) =>
      error._tag === "Cut"
        ? retry !== "once"
        : error._tag === "DaemonUnavailable" && passing.has(error.code) && !(wasCut && retry === "once")
    return once.pipe(
      Effect.retry({ schedule: pauses, while: mayBeSentAgain }),
      Effect.catchTag("Cut", () => Effect.fail(new InvalidResponse({ reason: cutOff }))),
      Effect.timeoutOrElse({
        duration: daemon.timeout,
        orElse: () =>
          Effect.fail(
            last === ""
              ? new RequestTimedOut({ seconds: Duration.toSeconds(daemon.timeout) })
              : new DaemonUnavailable({ socketPath: daemon.socketPath, code: last })
          )
      })
    )
  })

const cutOff = "the connection ended before it; it may have been done all the same"

const send = (daemon: DaemonAddress, line: string) =>
  Effect.flatMap(
    Effect.callback<RoundTrip>((resume) => {
      const breakOff = roundTrip(daemon.socketPath, [line], undefined, (outcome) => resume(Effect.succeed(outcome)))
      return Effect.sync(breakOff)
    }),
    (outcome): Effect.Effect<unknown, ClientError | Cut> => {
      switch (outcome._tag) {
        case "Unreachable":
          return Effect.fail(new DaemonUnavailable({ socketPath: daemon.socketPath, code: outcome.code }))
        case "Cut":
        case "Silent":
          return Effect.fail(new Cut())
        case "TooMuch":
          return Effect.fail(new InvalidResponse({ reason: responseTooLarge }))
        case "Replies": {
          const reply = readReply(outcome.lines[0])
          if (reply === undefined) return Effect.fail(new InvalidResponse({ reason: notAReply }))
          return reply.error === undefined ? Effect.succeed(reply.result) : Effect.fail(new RequestRefused(reply.error))
        }
      }
    }
  )
