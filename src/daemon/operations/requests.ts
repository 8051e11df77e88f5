/**
 * Requests that wait for a person: opened, answered, and ended when nobody did.
 *
 * Each step is in the audit log before it counts. Only the end of a request that nobody answered
 * needs no entry to count: it permits nothing.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { approvalRevokedFact, requestAnswerFact, requestEndFact, requestOpenFact } from "../../domain/daemonFacts.ts"
import { type Caller, ownsLease } from "../../domain/Caller.ts"
import { clientGroup } from "../../domain/clientGroup.ts"
import type { GoDuration } from "../../domain/GoDuration.ts"
import type { LeaseUse } from "../../domain/Policy.ts"
import { type Answer, type Approval, type Asked, type OpenRequest, RequestNotFound } from "../../domain/OpenRequest.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { sleepUntil } from "../../process/sleepUntil.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { isApprovalOf, OpenRequests } from "./RequestTable.ts"

/** Returns who a request counts for: the client group, or all clients of a limited socket together. */
export const countedAs = ({ scope }: Caller, clientId: string): string => scope?.clientPrefix ?? clientGroup(clientId)

/** What a client says about a lease, with its session. */
export type RecordedUse = LeaseUse & { readonly session?: string }

/** Returns what a person is asked about a lease. */
export const leaseQuestion = (use: RecordedUse, ttl: GoDuration, approval: Approval, caller: Caller): Asked => ({
  kind: "approval",
  secretName: use.secretName,
  clientId: use.clientId,
  countedAs: countedAs(caller, use.clientId),
  via: use.via ?? "lease",
  program: use.program,
  ttl,
  reason: use.reason,
  session: use.session,
  approval
})

/** Returns whether a lease would be issued without a question now. */
export const isApproved = Effect.fnUntraced(function* (use: RecordedUse, ttl: GoDuration, approval: Approval) {
  const table = yield* OpenRequests
  return table.isGranted(leaseQuestion(use, ttl, approval, yield* CurrentCaller))
})

/** Passes on that a request was opened: to the sink, and to what asks a person. */
export const announceOpened = Effect.fnUntraced(function* (request: OpenRequest) {
  const sink = yield* OtelSink
  const table = yield* OpenRequests
  yield* metrics.countRequest("opened")
  yield* sink.emit(OtelEvent.requestOpened(request))
  table.announce(request)
})

/** Opens a request for a secret that is missing, or returns the equal one. */
export const requestSecret = Effect.fnUntraced(function* (asked: Asked) {
  const table = yield* OpenRequests
  const audit = yield* AuditLog
  const found = yield* Effect.fromResult(table.ask(asked))
  if (!found.isNew) return found
  yield* Effect.onError(audit.append([requestOpenFact(found.request)]), () => Effect.sync(found.undo))
  yield* announceOpened(found.request)
  return found
})

/** Returns a request of the caller: for limited sockets, only one that its clients opened. */
export const findRequest = Effect.fnUntraced(function* (id: string) {
  const table = yield* OpenRequests
  const found = table.find(id)
  if (found === undefined || !isVisible(yield* CurrentCaller, found.request)) {
    return yield* new RequestNotFound({ requestId: id })
  }
  return found
})

/** Lists the open requests that the caller may see, the oldest first. */
export const listRequests = Effect.gen(function* () {
  const table = yield* OpenRequests
  const caller = yield* CurrentCaller
  return table.pending().filter((request) => isVisible(caller, request))
})

/** Returns whether a request exists for a caller: all of them for a socket that answers. */
const isVisible = (caller: Caller, request: OpenRequest): boolean =>
  caller.role === "approve" || ownsLease(caller, request)

/** Answers a request; a denied one can still be approved. `by` names the program that asked a person, if one did. */
export const answerRequest = Effect.fnUntraced(function* (id: string, answer: Answer, by = "") {
  const table = yield* OpenRequests
  const audit = yield* AuditLog
  const found = yield* findRequest(id)
  const { request } = found
  const notOpen = Effect.suspend(() => Effect.fail(new RequestNotFound({ requestId: request.id, state: found.state })))
  if (!table.isAnswerable(request.id, answer)) return yield* notOpen
  yield* audit.append([requestAnswerFact(request, answer, by)])
  if (!table.answer(request.id, answer)) return yield* notOpen
  yield* reportEnd(request, answer._tag === "Approve" ? "approved" : "denied")
  return found
})

/** Ends the open requests for secrets that exist now. */
export const endStored = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const table = yield* OpenRequests
  const stored = new Set(names)
  const ended = table.store((name) => stored.has(name))
  if (ended.length === 0) return
  const audit = yield* AuditLog
  yield* Effect.ignore(audit.append(ended.map((request) => requestEndFact(request, "stored"))))
  for (const _ of ended) yield* metrics.countRequest("stored")
})

/** Takes back the approvals of a client group for a secret that still hold; returns their number. */
export const revokeApprovals = Effect.fnUntraced(function* (clientId: string, secretName: string) {
  const table = yield* OpenRequests
  const audit = yield* AuditLog
  yield* audit.append([approvalRevokedFact(secretName, clientGroup(clientId))])
  return table.revoke(isApprovalOf(clientId, secretName))
})

/** Takes back every approval, and what waits for one: after a lock or with another policy, each lease asks again. */
export const forgetApprovals = Effect.gen(function* () {
  const table = yield* OpenRequests
  const audit = yield* AuditLog
  const facts = takenBackFacts(table.forget())
  if (facts.length > 0) yield* Effect.ignore(audit.append(facts))
})

/** Records the requests that ended because every lease asks again. */
export const takenBackFacts = (open: ReadonlyArray<OpenRequest>) =>
  open.map((request) => requestEndFact(request, "taken back"))

const reportEnd = Effect.fnUntraced(function* (request: OpenRequest, how: keyof typeof OtelEvent.approvalEnded) {
  const sink = yield* OtelSink
  yield* metrics.countRequest(how)
  if (request.kind === "approval") yield* sink.emit(OtelEvent.approvalEnded[how](request))
})

/** Records the requests that nobody answered, as their time is over. */
export const watchRequests = Effect.gen(function* () {
  const table = yield* OpenRequests
  const audit = yield* AuditLog
  const opened = yield* Queue.sliding<void>(1)
  yield* Effect.acquireRelease(
    Effect.sync(() => table.onOpened(() => void Queue.offerUnsafe(opened, undefined))),
    (stop) => Effect.sync(stop)
  )
  while (true) {
    const expired = table.takeExpired()
    if (expired.length > 0) {
      yield* Effect.ignore(audit.append(expired.map((request) => requestEndFact(request, "nobody answered"))))
      for (const request of expired) yield* reportEnd(request, "expired")
    }
    const next = table.nextExpiry()
    yield* next === undefined ? Queue.take(opened) : sleepUntil(next)
  }
}).pipe(Effect.scoped)
