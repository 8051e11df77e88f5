/**
 * From a request line to its reply line. It knows no socket, and nothing that
 * goes wrong in a method gets past it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { quote } from "../../domain/goText.ts"
import { nameLimit } from "../../domain/Secret.ts"
import * as metrics from "../../otel/metrics.ts"
import { ConnectionState } from "../transport/Connections.ts"
import { errorReply, type MethodError } from "./errorReply.ts"
import { isMethodName } from "../protocol/methods.ts"
import type { Frame } from "../protocol/framing.ts"
import { bulkBytes, bulkListLength } from "../protocol/limits.ts"
import type { RequestQueues } from "./requestQueues.ts"
import { handlers } from "./handlers.ts"
import { auditRefusal } from "./auditRefusal.ts"
import {
  decodeRequest,
  encodeError,
  encodeResult,
  noId,
  notUtf8,
  stoppingError,
  lineTooLong
} from "../protocol/Protocol.ts"

/** Answers every frame with exactly one line; a large result is written out in its `turn`, and not for a client that has left. */
export const dispatcher = (inLine: RequestQueues, turn: Effect.Effect<void>) => {
  const written = (id: string, result: unknown) =>
    isLarge(result)
      ? Effect.map(Effect.andThen(turn, ConnectionState), ({ isClosed }) =>
          isClosed() ? "" : encodeResult(id, result)
        )
      : Effect.succeed(encodeResult(id, result))

  const failed = Effect.fnUntraced(function* (id: string, method: string, cause: Cause.Cause<MethodError>) {
    const reply = errorReply(cause)
    yield* metrics.countRefusal(reply.tag)
    const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
    if (failure?._tag === "RpcError") yield* auditRefusal(method, failure.recorded ?? failure.message)
    if (failure?._tag === "TooLong") yield* auditRefusal(method, failure.message)
    if (Cause.hasDies(cause)) yield* Effect.logError(`${method} broke down`, Cause.pretty(cause))
    return encodeError(id, reply)
  })

  const unknown = Effect.fnUntraced(function* (id: string, method: string) {
    const message = method.length > nameLimit ? "the method's name is too long" : `method ${quote(method)} not found`
    yield* metrics.countRefusal("MethodNotFound")
    yield* auditRefusal(method, "there is no such method")
    return encodeError(id, { tag: "MethodNotFound", message })
  })

  // On the way of every request, so without a generator: it would be a tenth of a request's time.
  return (frame: Frame) =>
    Effect.suspend(() => {
      const request = decodeFrame(frame)
      if (Result.isFailure(request)) {
        return Effect.as(metrics.countRefusal("ParseError"), encodeError(noId, request.failure))
      }
      const { id, method, params } = request.success
      if (!isMethodName(method)) return unknown(id, method)
      const answered = Effect.matchCauseEffect(
        Effect.suspend(() => handlers[method](params)),
        {
          onSuccess: (result) => written(id, result),
          onFailure: (cause) => failed(id, method, cause)
        }
      )
      return inLine(method, answered, (because) => (because === "stopping" ? encodeError(id, stoppingError) : ""))
    })
}

const decodeFrame = (frame: Frame) => {
  if ("tooLong" in frame) return Result.fail(lineTooLong)
  return "notUtf8" in frame ? Result.fail(notUtf8) : decodeRequest(frame.line)
}

/** Whether a result holds a text or a list that takes more than a moment to be written out. */
const isLarge = (result: unknown): boolean =>
  typeof result === "object" &&
  result !== null &&
  Object.values(result).some(
    (member) =>
      (typeof member === "string" && member.length > bulkBytes) ||
      (Array.isArray(member) && member.length > bulkListLength)
  )
