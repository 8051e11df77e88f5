/**
 * A request that waits for a person: to approve a lease, or to store a secret that is missing.
 *
 * A client polls or waits for the answer. Nobody answering is not a denial: each has its own
 * state, error and text.
 */
import * as Schema from "effect/Schema"
import { clientGroup } from "./clientGroup.ts"
import { durationText, type GoDuration, hour, minute } from "./GoDuration.ts"
import { quote } from "./goText.ts"
import type { Timestamp } from "./Timestamp.ts"

/** What a policy rule says: a yes for each lease, or one that holds for a while. */
export type Approval = "always" | GoDuration

/** The longest time that one yes may hold. */
export const maxApprovalTime: GoDuration = 8n * hour

/** How long a request stays open: the default of approval.open, and that of a missing secret. */
export const defaultOpenTime: GoDuration = 10n * minute
export const missingOpenTime: GoDuration = hour

/** What a client asks for. */
export interface Asked {
  readonly kind: "approval" | "missing"
  readonly secretName: string
  readonly clientId: string
  /** Who it counts for: the client group, or all clients of a limited socket. */
  readonly countedAs: string
  /** What would take the value, and for which program, as the client says. */
  readonly via: string | undefined
  readonly program: string | undefined
  readonly ttl: GoDuration | undefined
  /** Why, in the client's words. */
  readonly reason: string | undefined
  readonly session: string | undefined
  /** What a plain yes means. */
  readonly approval: Approval | undefined
}

export interface OpenRequest extends Asked {
  /** Four letters, for people. */
  readonly id: string
  readonly openedAt: Timestamp
  /** The wall clock's; a step of the clock ends it no later. */
  readonly expiresAt: Timestamp
}

/** Open, or how it ended. `stored` and `declined` are the ends of a missing secret. */
export type RequestState = "pending" | "approved" | "denied" | "stored" | "declined" | "expired"

/** A request, and how far it is. */
export interface KnownRequest {
  readonly request: OpenRequest
  readonly state: RequestState
  /** Why it was denied, in the person's words. */
  readonly why: string
}

/** What a person, or the program that asks one, answers. A yes holds for one lease or for a while. */
export type Answer =
  | { readonly _tag: "Approve"; readonly span: "once" | GoDuration }
  | { readonly _tag: "Deny"; readonly why: string }

/** Names what one yes for a while and a denial are about: a client group, a secret, and the way that the value takes. */
export const questionOf = ({
  clientId,
  kind,
  secretName,
  via
}: Pick<Asked, "clientId" | "kind" | "secretName" | "via">) =>
  JSON.stringify([kind, clientGroup(clientId), secretName, via])

/** Names what is one request if it is asked twice: the question, the program and the TTL. */
export const identityOf = (asked: Asked): string =>
  JSON.stringify([questionOf(asked), asked.program, asked.ttl === undefined ? undefined : String(asked.ttl)])

/** Returns what a plain yes means under a rule. */
export const spanOf = (approval: Approval | undefined): "once" | GoDuration =>
  approval === undefined || approval === "always" ? "once" : approval

export const spanText = (span: "once" | GoDuration): string => (span === "once" ? "once" : `for ${durationText(span)}`)

/** A lease waits for a person. The text is what programs match. */
export class ApprovalPending extends Schema.TaggedError<ApprovalPending>()("ApprovalPending", {
  requestId: Schema.String,
  expiresAt: Schema.String
}) {
  override get message() {
    return `approval pending: ${this.requestId}`
  }
  /** What the reply has beside the text. */
  get data() {
    return { request_id: this.requestId, expires_at: this.expiresAt }
  }
}

/** A person said no. */
export class ApprovalDenied extends Schema.TaggedError<ApprovalDenied>()("ApprovalDenied", {
  requestId: Schema.String,
  secretName: Schema.String,
  why: Schema.String
}) {
  override get message() {
    return withWhy(
      `approval denied: a person refused request ${this.requestId} for ${quote(this.secretName)}`,
      this.why
    )
  }
}

/** The time of the request was over before anybody answered. */
export class ApprovalExpired extends Schema.TaggedError<ApprovalExpired>()("ApprovalExpired", {
  requestId: Schema.String,
  secretName: Schema.String
}) {
  override get message() {
    return `nobody answered: request ${this.requestId} for ${quote(this.secretName)} is over`
  }
}

/** No such request is open, or it is not the caller's. */
export class RequestNotFound extends Schema.TaggedError<RequestNotFound>()("RequestNotFound", {
  requestId: Schema.String,
  /** How it ended, if it is known. */
  state: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const id = quote(this.requestId)
    if (this.state === undefined) return `no such request: ${id}`
    return `request ${id} is not open any more: ${this.state === "expired" ? "nobody answered in time" : this.state}`
  }
}

/** Too many requests are open: of this client, or in all. */
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", {
  whose: Schema.Literals(["client", "all"]),
  limit: Schema.Int
}) {
  override get message() {
    const whose = this.whose === "client" ? "this client has" : "there are"
    return `${whose} ${this.limit} open requests, and no more are taken before some are answered or over`
  }
}

export const withWhy = (text: string, why: string): string => (why === "" ? text : `${text}: ${why}`)
