/**
 * Turns a request line into its reply line.
 *
 * It uses no socket. Every failure of a handler becomes an error reply.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { AuditLog } from "../../daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../daemon/leases/LeaseRepo.ts"
import { lockedReason } from "../../daemon/secrets/lockableStore.ts"
import { SecretStore } from "../../daemon/secrets/SecretStore.ts"
import { AccessDenied, type Caller, withClientPrefix } from "../../domain/Caller.ts"
import { requestRefusedFact } from "../../domain/daemonFacts.ts"
import { quote } from "../../domain/goText.ts"
import { nameLimit, StoreLocked } from "../../domain/Secret.ts"
import { lateReason, TeamAway } from "../../domain/Team.ts"
import * as metrics from "../../otel/metrics.ts"
import type { Frame } from "../protocol/framing.ts"
import { forbiddenTo, isMethodName, type MethodName, methods, type MethodSpec } from "../protocol/methods.ts"
import {
  decodeRequest,
  encodeError,
  encodeResult,
  lineTooLong,
  noId,
  notUtf8,
  stoppingError,
  type TaggedMessage
} from "../protocol/Protocol.ts"
import type { Admission } from "./admission.ts"
import { handlers, type MethodError } from "./handlers.ts"

/** Returns what replies to every frame of a caller: it sends one line, or an empty one if the client has left. */
export const makeDispatch = Effect.fnUntraced(function* ({ forMethod, forReply }: Admission) {
  const { lockedSince } = yield* SecretStore
  const { isLate } = yield* LeaseRepo

  /** Withholds a value that is ready when the store is locked: no value is sent after the reply to the lock. */
  const encodeReply = (id: string, method: MethodName, result: unknown) => {
    if (givenBy(method) === undefined || lockedSince() === undefined) return Effect.succeed(encodeResult(id, result))
    return Effect.andThen(auditRefusal(method, lockedReason), withhold(id, new StoreLocked()))
  }

  // Every request passes here, so there is no generator on its way.
  return <A, E>(frame: Frame, { role, scope }: Caller, send: (reply: string) => Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const request = decodeFrame(frame)
      if (Result.isFailure(request)) {
        const refusal = Effect.as(metrics.countRefusal(request.failure.tag), encodeError(noId, request.failure))
        return Effect.flatMap(refusal, send)
      }
      const { id, method, params } = request.success
      if (!isMethodName(method)) return Effect.flatMap(unknownMethod(id, method), send)
      const forbidden = forbiddenTo(role, method, params)
      if (forbidden !== undefined) return Effect.flatMap(reject(id, method, forbidden), send)
      const scoped = scope === undefined ? params : withClientPrefix(params, scope)
      let hasLease = false
      const handled = Effect.matchCauseEffect(
        Effect.suspend(() => handlers[method](scoped)),
        {
          onSuccess: (result) => {
            hasLease = givenBy(method) === "lease"
            return forReply(result, () => encodeReply(id, method, result))
          },
          onFailure: (cause) => failed(id, method, cause)
        }
      )
      return Effect.flatMap(
        forMethod(method, handled, (reason) => (reason === "stopping" ? encodeError(id, stoppingError) : "")),
        // Last of all, because the process may be frozen at each moment before.
        (reply) => (hasLease && isLate() ? Effect.flatMap(withhold(id, tooLate), send) : send(reply))
      )
    })
})

const tooLate = new TeamAway({ reason: lateReason })

const givenBy = (method: MethodName) => {
  const spec: MethodSpec = methods[method]
  return spec.givesValue
}

const withhold = (id: string, { _tag: tag, message }: StoreLocked | TeamAway) =>
  Effect.as(metrics.countRefusal(tag), encodeError(id, { tag, message }))

const decodeFrame = (frame: Frame) => {
  if ("tooLong" in frame) return Result.fail(lineTooLong)
  return "notUtf8" in frame ? Result.fail(notUtf8) : decodeRequest(frame.line)
}

const reject = Effect.fnUntraced(function* (id: string, method: MethodName, recorded: string) {
  const { _tag: tag, message } = new AccessDenied()
  yield* metrics.countRefusal(tag)
  yield* auditRefusal(method, recorded)
  return encodeError(id, { tag, message })
})

const failed = Effect.fnUntraced(function* (id: string, method: string, cause: Cause.Cause<MethodError>) {
  const reply = errorReply(cause)
  yield* metrics.countRefusal(reply.tag)
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
  // The daemon's own refusals are in its audit log already.
  if (failure?._tag === "RpcError") yield* auditRefusal(method, failure.recorded ?? failure.message, failure.secretName)
  if (failure?._tag === "TooLong") yield* auditRefusal(method, failure.message)
  if (Cause.hasDies(cause)) yield* Effect.logError(`unexpected error in ${method}`, Cause.pretty(cause))
  return encodeError(id, reply)
})

/** Returns the reply to a failure, without the text of a defect: it may hold a value. Every tag needs a code. */
const errorReply = (cause: Cause.Cause<MethodError>): TaggedMessage => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (failure === undefined || Cause.hasDies(cause)) return { tag: "InternalError", message: "internal error" }
  return { tag: tagOf(failure), message: failure.message, ...("data" in failure && { data: failure.data }) }
}

const tagOf = (failure: MethodError) => {
  if (failure._tag === "RpcError") return failure.tag
  return failure._tag === "AuditLogError" && failure.cause._tag === "TeamAway" ? "TeamAway" : failure._tag
}

const unknownMethod = Effect.fnUntraced(function* (id: string, method: string) {
  const message = method.length > nameLimit ? "the method's name is too long" : `method ${quote(method)} not found`
  yield* metrics.countRefusal("MethodNotFound")
  yield* auditRefusal(method, "there is no such method")
  return encodeError(id, { tag: "MethodNotFound", message })
})

/** Records a request that no program of the daemon got; the refusal stands if that fails. */
const auditRefusal = (method: string, reason: string, secretName?: string) => {
  const fact = requestRefusedFact(methodName.test(method) ? method : "(no method)", reason, secretName)
  return AuditLog.use((audit) => Effect.ignore(audit.append([fact])))
}

/** Any other text in place of a method may be a value, which the log must not hold. */
const methodName = /^(secrets|daemon|runs|proxy|requests|approvals)\.[a-zA-Z]{1,30}$/
