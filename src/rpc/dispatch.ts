/**
 * From a request line to its reply line. It knows no socket, and nothing that
 * goes wrong in a method gets past it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { AuditLog } from "../daemon/AuditLog.ts"
import { requestRefused } from "../domain/AuditEntry.ts"
import { quote } from "../domain/goText.ts"
import { nameLimit } from "../domain/Secret.ts"
import { errorReply } from "./errorReply.ts"
import type { Frame } from "./framing.ts"
import type { Running } from "./methods.ts"
import { methods } from "./methods.ts"
import { code, decodeRequest, encodeError, encodeResult, noId, RpcError, tooLong } from "./Protocol.ts"

/** Answers every frame with exactly one line. */
export const dispatcher = (daemon: Running) => {
  const table = methods(daemon)
  return Effect.fnUntraced(function* (frame: Frame) {
    if ("tooLong" in frame) return encodeError(noId, tooLong)
    const request = decodeRequest(frame.line)
    if (Result.isFailure(request)) return encodeError(noId, request.failure)
    const { id, method, params } = request.success
    const run = Object.hasOwn(table, method) ? table[method] : undefined
    if (run === undefined) {
      const message = method.length > nameLimit ? "the method's name is too long" : `method ${quote(method)} not found`
      yield* record(method, "there is no such method")
      return encodeError(id, new RpcError({ code: code.methodNotFound, message }))
    }
    const exit = yield* Effect.exit(Effect.suspend(() => run(params)))
    if (Exit.isSuccess(exit)) return encodeResult(id, exit.value)
    const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    if (failure?._tag === "RpcError" || failure?._tag === "TooLong") yield* record(method, failure.message)
    if (Cause.hasDies(exit.cause)) yield* Effect.logError(`${method} broke down`, Cause.pretty(exit.cause))
    return encodeError(id, errorReply(exit.cause))
  })
}

/** What no program of the daemon came to hear of is recorded here; the refusal stands if that fails. */
const record = (method: string, reason: string) =>
  AuditLog.use((audit) =>
    Effect.ignore(audit.append([requestRefused(methodName.test(method) ? method : "(no method)", unquoted(reason))]))
  )

/** The client is told what it sent; the log keeps none of it. */
const unquoted = (reason: string): string => reason.replace(/:? ".*$/s, "")

/** Whatever else stands in a method's place may be anything, a value too. */
const methodName = /^(secrets|daemon)\.[a-zA-Z]{1,30}$/
