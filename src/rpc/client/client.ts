/**
 * `sendRequests` as an Effect: one request to the daemon, and its result.
 *
 * A result is untrusted: `call` compares it with an example of its shape.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { matchesShape, type Shape, type Shaped } from "../../domain/shape.ts"
import type { MethodName } from "../protocol/methods.ts"
import { notAReply, type ReplyError } from "../protocol/reply.ts"
import { type After, type ClientRequest, type ReturnsSoon, type SendOutcome, sendRequests } from "./sendRequests.ts"

/** No daemon listens: `code` is the system's reason, such as ENOENT or EACCES. */
export class DaemonUnavailable extends Data.TaggedError("DaemonUnavailable")<{
  readonly socketPath: string
  readonly code: string
}> {}

/** The daemon replied with an error. */
export class RequestRejected extends Data.TaggedError("RequestRejected")<ReplyError> {}

/** The daemon accepted the connection and did not reply in time. */
export class RequestTimedOut extends Data.TaggedError("RequestTimedOut")<{ readonly seconds: number }> {}

/** The reply is not one of the daemon. */
export class InvalidReply extends Data.TaggedError("InvalidReply")<{ readonly reason: string }> {}

/** Another user could own the socket; nothing was sent. */
export class UnsafeSocket extends Data.TaggedError("UnsafeSocket")<{ readonly reason: string; readonly fix: string }> {}

export type ClientError = DaemonUnavailable | RequestRejected | RequestTimedOut | InvalidReply | UnsafeSocket

export interface DaemonAddress {
  readonly socketPath: string
  /** The socket of the daemon's owner, tried first. */
  readonly ownerSocket?: string | undefined
  /** For everything together: waiting for the daemon, the request, its reply. */
  readonly timeout: Duration.Duration
  readonly returnsSoon?: ReturnsSoon | undefined
  readonly onWait?: (() => void) | undefined
}

/** Makes a request fail at once if nothing listens: for a command that reports what it finds. */
export const returnsNever: ReturnsSoon = () => Promise.resolve(false)

/** Calls a method; its result must have the shape of the example. */
export const call = <const T extends Shape>(
  daemon: DaemonAddress,
  method: MethodName,
  params: object,
  example: T
): Effect.Effect<Shaped<T>, ClientError> =>
  Effect.flatMap(request(daemon, method, params), (result) =>
    matchesShape(result, example)
      ? Effect.succeed(result)
      : Effect.fail(new InvalidReply({ reason: `${method} has an unexpected result` }))
  )

/** Calls a method; returns its result as it came. */
export const request = (
  daemon: DaemonAddress,
  method: MethodName,
  params: object
): Effect.Effect<unknown, ClientError> =>
  Effect.flatMap(send(daemon, { method, params }), (outcome): Effect.Effect<unknown, ClientError> => {
    switch (outcome._tag) {
      case "DaemonUnavailable":
        return Effect.fail(new DaemonUnavailable(outcome))
      case "RequestTimedOut":
        return Effect.fail(new RequestTimedOut(outcome))
      case "UnsafeSocket":
        return Effect.fail(new UnsafeSocket(outcome))
      case "InvalidReply":
        return Effect.fail(new InvalidReply(outcome))
      case "Replies": {
        const [reply] = outcome.replies
        if (reply === undefined) return Effect.fail(new InvalidReply({ reason: notAReply }))
        return reply.error === undefined ? Effect.succeed(reply.result) : Effect.fail(new RequestRejected(reply.error))
      }
    }
  })

const send = ({ timeout, ...address }: DaemonAddress, asked: ClientRequest) =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.callback<SendOutcome>((resume) => {
      const options = { ...address, seconds: Duration.toSeconds(timeout), after: afterIn(context) }
      const abort = sendRequests(options, [asked], (outcome) => resume(Effect.succeed(outcome)))
      return Effect.sync(abort)
    })
  )

/** In milliseconds: what a request gets at least. */
const leastRest = 300

/**
 * Starts to measure; returns an Effect of the address with what is then left of its timeout, so that several requests end
 * within one timeout. After a much longer time, such as a wait for a person, the timeout is whole again.
 */
export const sharedTimeout = (daemon: DaemonAddress): Effect.Effect<Effect.Effect<DaemonAddress>> =>
  Effect.map(Clock.currentTimeMillis, (begun) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const [whole, spent] = [Duration.toMillis(daemon.timeout), now - begun]
      if (spent > 2 * whole) return daemon
      return { ...daemon, timeout: Duration.millis(Math.min(whole, Math.max(whole - spent, leastRest))) }
    })
  )

/**
 * Calls a method that may take as long as `longest`. It is sent at once, also to a daemon that hangs, which may carry it out
 * later. That is reported within the usual time, because such a daemon answers no other request either.
 */
export const callLong = <const T extends Shape>(
  daemon: DaemonAddress,
  longest: Duration.Duration,
  method: MethodName,
  params: object,
  example: T
): Effect.Effect<Shaped<T>, ClientError> =>
  Effect.raceFirst(
    Effect.andThen(untilAnswering({ ...daemon, onWait: undefined }), Effect.never),
    call({ ...daemon, timeout: longest }, method, params, example)
  )

/** Succeeds as soon as the daemon answers. */
export const untilAnswering = (daemon: DaemonAddress): Effect.Effect<void, ClientError> =>
  Effect.asVoid(Effect.catchTag(request(daemon, "secrets.status", {}), "RequestRejected", () => Effect.void))

/** Timers of the Effect clock. */
const afterIn =
  (context: Context.Context<never>): After =>
  (millis, run) => {
    const fiber = Effect.runForkWith(context)(Effect.andThen(Effect.sleep(millis), Effect.sync(run)))
    return () => fiber.interruptUnsafe()
  }

/**
 * Asks whether this daemon replies over its own socket; fails with the reason. Any reply counts, also a refusal. So does
 * a socket whose file is gone: it is reported elsewhere, and a restart would not restore it.
 */
export const livenessProbe = (socketPath: string, within: Duration.Duration): Effect.Effect<void, string> =>
  request({ socketPath, timeout: within }, "secrets.status", {}).pipe(
    Effect.catchTag("RequestRejected", () => Effect.void),
    Effect.catchTag("DaemonUnavailable", (fault) =>
      fault.code === "ENOENT" ? Effect.void : Effect.fail(fault.message)
    ),
    Effect.mapError((fault) => (typeof fault === "string" ? fault : fault.message)),
    Effect.asVoid
  )
