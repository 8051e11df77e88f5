/**
 * The methods about requests that wait for a person: open, list, wait, answer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { CurrentCaller } from "../../../daemon/audit/CurrentCaller.ts"
import { visibleSecrets } from "../../../daemon/operations/status.ts"
import {
  answerRequest,
  countedAs,
  findRequest,
  listRequests,
  requestSecret,
  revokeApprovals
} from "../../../daemon/operations/requests.ts"
import { OpenRequests } from "../../../daemon/operations/RequestTable.ts"
import { valueMask, withoutValues } from "../../../daemon/operations/withoutValues.ts"
import { lockedReason } from "../../../daemon/secrets/lockableStore.ts"
import type { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import { AccessDenied, permitsSecret } from "../../../domain/Caller.ts"
import { durationText, parseDuration } from "../../../domain/GoDuration.ts"
import {
  type Answer,
  type Asked,
  maxApprovalTime,
  type OpenRequest,
  spanOf,
  spanText
} from "../../../domain/OpenRequest.ts"
import { nameWord } from "../../../domain/shellWord.ts"
import type { ErrorTag } from "../../protocol/errorTags.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { longestPoll, longPoll } from "../longPoll.ts"
import { atMost, readParams, required } from "../params.ts"

/** The longest reason, in bytes: of a client, and of a person. */
const reasonLimit = 200
const idLimit = 16

const requestParams = readParams("RequestParams", {
  name: "string",
  client_id: "string",
  why: "string",
  replace: "bool"
})
const listParams = readParams("RequestsParams", { kind: "string", secret_name: "string" })
const waitParams = readParams("WaitParams", { request_id: "string", timeout: "number" })
const answerParams = readParams("AnswerParams", {
  request_id: "string",
  answer: "string",
  for: "string",
  why: "string"
})
const revokeParams = readParams("RevokeApprovalsParams", { client_id: "string", secret_name: "string" })

/** Waits for the end of a request, and returns its state. */
const wait = Effect.fnUntraced(function* (raw: unknown) {
  const { request_id, timeout } = yield* waitParams(raw)
  yield* required(request_id, "request_id", idLimit)
  const { request, state } = yield* findRequest(request_id)
  const table = yield* OpenRequests
  const seconds = timeout > 0 ? Math.min(timeout, longestPoll) : 0
  const end =
    state === "pending"
      ? yield* longPoll((done) => table.onEnded(request.id, done), Duration.seconds(seconds))
      : undefined
  const found = yield* findRequest(request_id)
  return {
    state: found.state,
    why: found.why || undefined,
    stopping: end === "stopping" ? true : undefined
  }
})

export const requestHandlers = {
  /** Asks a person for a secret that is missing, or whose value does not work. */
  "secrets.request": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, name, replace, why } = yield* requestParams(raw)
    yield* required(name, "secret name")
    yield* required(client_id, "client_id")
    yield* required(why, "why", reasonLimit)
    const caller = yield* CurrentCaller
    if (!permitsSecret(caller, name))
      return yield* refusal("this socket is not for that secret", name)(new AccessDenied())
    const visible = yield* Effect.mapError(visibleSecrets(client_id), refusal(lockedReason, name))
    if (!replace && visible.some((secret) => secret.name === name)) return { state: "exists" }
    if ((yield* withoutValues(name)) === valueMask) return yield* invalid("the name is the value of a secret")
    const asked: Asked = {
      kind: "missing",
      secretName: name,
      clientId: client_id,
      countedAs: countedAs(caller, client_id),
      via: undefined,
      program: undefined,
      ttl: undefined,
      reason: yield* withoutValues(why),
      session: undefined,
      approval: undefined
    }
    const { request, state } = yield* Effect.mapError(requestSecret(asked), refusal("the request was not opened", name))
    return { state, request_id: request.id, expires_at: request.expiresAt.text }
  }),

  "requests.list": Effect.fnUntraced(function* (raw: unknown) {
    const { kind, secret_name } = yield* listParams(raw ?? {})
    const open = (yield* listRequests).filter(
      (request) => (kind === "" || request.kind === kind) && (secret_name === "" || request.secretName === secret_name)
    )
    return { requests: open.map(describe), total: open.length }
  }),

  "requests.wait": wait,
  "approvals.wait": wait,

  /** Without `for`, a yes means what the rule of the policy says. */
  "approvals.answer": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* answerParams(raw)
    yield* required(params.request_id, "request_id", idLimit)
    yield* atMost(reasonLimit, params.why, "why")
    const { request } = yield* Effect.mapError(findRequest(params.request_id), refusal("no such request"))
    const answer = yield* readAnswer(params, request)
    yield* Effect.mapError(answerRequest(request.id, answer), refusal("the request was not answered"))
    const said = answer._tag === "Approve" ? { holds: spanText(answer.span) } : {}
    return { success: true, ...describe(request), ...said }
  }),

  "approvals.revoke": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, secret_name } = yield* revokeParams(raw)
    yield* required(client_id, "client_id")
    yield* required(secret_name, "secret_name")
    return { success: true, revoked: yield* revokeApprovals(client_id, secret_name) }
  })
}

const readAnswer = Effect.fnUntraced(function* (
  params: { readonly answer: string; readonly for: string; readonly why: string },
  request: OpenRequest
): Effect.fn.Return<Answer, RpcError, SecretStore> {
  if (params.answer === "deny") return { _tag: "Deny", why: yield* withoutValues(params.why) }
  if (params.answer !== "approve") return yield* invalid('answer must be "approve" or "deny"')
  if (request.kind === "missing") {
    return yield* invalid(
      `request ${request.id} waits for a secret: store it with secrets add ${nameWord(request.secretName)}`
    )
  }
  if (params.for === "") return { _tag: "Approve", span: spanOf(request.approval) }
  if (params.for === "once") return { _tag: "Approve", span: "once" }
  const span = Result.getOrElse(parseDuration(params.for), () => 0n)
  if (span > 0n && span <= maxApprovalTime) return { _tag: "Approve", span }
  return yield* invalid(`for must be once, or a duration up to ${durationText(maxApprovalTime)}`)
})

/** Makes an error of ours one that the dispatcher records, with a text that quotes nothing of the request. */
const refusal =
  (recorded: string, secretName = "") =>
  ({ _tag: tag, message }: { readonly _tag: ErrorTag; readonly message: string }) =>
    new RpcError({ tag, message, recorded, secretName })

const invalid = (reason: string) =>
  Effect.fail(
    new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}`, recorded: "invalid parameters" })
  )

const describe = (request: OpenRequest) => ({
  request_id: request.id,
  kind: request.kind,
  secret_name: request.secretName,
  client_id: request.clientId,
  via: request.via,
  program: request.program,
  ttl: request.ttl === undefined ? undefined : durationText(request.ttl),
  reason: request.reason,
  session: request.session,
  approval: request.approval === undefined ? undefined : spanText(spanOf(request.approval)),
  opened_at: request.openedAt.text,
  expires_at: request.expiresAt.text
})
