/**
 * From a request line to its reply line. It knows no socket, and nothing that
 * goes wrong in a method gets past it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { quote } from "../domain/goText.ts"
import { nameLimit } from "../domain/Secret.ts"
import * as metrics from "../otel/metrics.ts"
import { Account } from "./Connections.ts"
import { errorReply, type Failure } from "./errorReply.ts"
import type { Frame } from "./framing.ts"
import { atOnce, listAtOnce } from "./limits.ts"
import type { Lanes } from "./lanes.ts"
import type { Method, Running } from "./methods.ts"
import { methods } from "./methods.ts"
import { recordRefusal } from "./recordRefusal.ts"
import {
  code,
  decodeRequest,
  encodeError,
  encodeResult,
  noId,
  notUtf8,
  RpcError,
  stopping,
  tooLong
} from "./Protocol.ts"

/** Answers every frame with exactly one line; a large result is written out in its `turn`, and not for a client that has left. */
export const dispatcher = (daemon: Running, inLine: Lanes, turn: Effect.Effect<void>) => {
  const table = methods(daemon)

  /** Runs the method, and lays its answer out. */
  const answer = Effect.fnUntraced(function* (id: string, method: string, work: ReturnType<Method>) {
    const exit = yield* Effect.exit(work)
    if (Exit.isSuccess(exit)) {
      if (isLarge(exit.value)) {
        yield* turn
        if ((yield* Account).isClosed()) return ""
      }
      return encodeResult(id, exit.value)
    }
    const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    yield* metrics.refused(failure === undefined ? "_OTHER" : nameOf(failure))
    if (failure?._tag === "RpcError" || failure?._tag === "TooLong") yield* recordRefusal(method, failure.message)
    if (Cause.hasDies(exit.cause)) yield* Effect.logError(`${method} broke down`, Cause.pretty(exit.cause))
    return encodeError(id, errorReply(exit.cause))
  })

  return Effect.fnUntraced(function* (frame: Frame) {
    const request = decodeFrame(frame)
    if (Result.isFailure(request)) {
      yield* metrics.refused("ParseError")
      return encodeError(noId, request.failure)
    }
    const { id, method, params } = request.success
    const run = Object.hasOwn(table, method) ? table[method] : undefined
    if (run === undefined) {
      const message = method.length > nameLimit ? "the method's name is too long" : `method ${quote(method)} not found`
      yield* metrics.refused("MethodNotFound")
      yield* recordRefusal(method, "there is no such method")
      return encodeError(id, new RpcError({ code: code.methodNotFound, message }))
    }
    const work = Effect.suspend(() => run(params))
    return yield* inLine(method, answer(id, method, work)).pipe(
      Effect.catchTag("NotBegun", ({ because }) =>
        Effect.succeed(because === "stopping" ? encodeError(id, stopping) : "")
      )
    )
  })
}

const decodeFrame = (frame: Frame) => {
  if ("tooLong" in frame) return Result.fail(tooLong)
  return "notUtf8" in frame ? Result.fail(notUtf8) : decodeRequest(frame.line)
}

/** Parameters that cannot be used have no class of their own. */
const nameOf = ({ _tag }: Failure): string => (_tag === "RpcError" ? "InvalidParams" : _tag)

/** Whether a result holds a text or a list that takes more than a moment to be written out. */
const isLarge = (result: unknown): boolean =>
  typeof result === "object" &&
  result !== null &&
  Object.values(result).some(
    (member) =>
      (typeof member === "string" && member.length > atOnce) || (Array.isArray(member) && member.length > listAtOnce)
  )
