/**
 * The open requests, how the last ones ended, and the approvals that hold for a while.
 *
 * In memory only: a restart forgets them, and then every lease that needs an approval asks
 * again. Each has a deadline on both clocks and ends at the earlier one, so neither a wall
 * clock that is set back nor a machine that sleeps makes it last longer. `requests.ts` records
 * and answers; `acquire` asks.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { randomInt } from "node:crypto"
import { clientGroup } from "../../domain/clientGroup.ts"
import { type GoDuration, minute, toMillis } from "../../domain/GoDuration.ts"
import {
  type Answer,
  ApprovalDenied,
  ApprovalExpired,
  ApprovalPending,
  type Asked,
  defaultOpenTime,
  type KnownRequest,
  identityOf,
  missingOpenTime,
  type OpenRequest,
  questionOf,
  TooManyRequests
} from "../../domain/OpenRequest.ts"
import { fromMillis } from "../../domain/Timestamp.ts"

/** How many requests may be open. */
export const requestLimits = { client: 20, all: 200 } as const

/** How long a yes to one lease can be used. */
const useWithin = 2n * minute
/** How long an end is remembered: the same question is denied for so long without asking. */
const rememberFor = 10n * minute

/** A time of both clocks, in milliseconds. */
interface Moment {
  readonly wall: number
  readonly steady: number
}

interface Entry extends KnownRequest {
  state: KnownRequest["state"]
  why: string
  /** When the state ends: an open request expires, and others are forgotten. */
  until: Moment
  readonly waiting: Set<() => void>
}

interface Grant {
  readonly request: OpenRequest
  readonly until: Moment
}

type RefusedApproval = ApprovalPending | ApprovalDenied | ApprovalExpired | TooManyRequests

/** The answer to a lease. `undo` takes a change of the table back that could not be recorded. */
type Admission = Result.Result<
  { readonly undo: () => void },
  { readonly error: RefusedApproval; readonly undo: () => void; readonly opened: OpenRequest | undefined }
>

const nothing = (): void => undefined

/** Returns a refusal; `opened` is the request that it opened. */
const refuse = (error: RefusedApproval, undo = nothing, opened?: OpenRequest): Admission =>
  Result.fail({ error, undo, opened })

export class RequestTable {
  private readonly byId = new Map<string, Entry>()
  /** The open requests, those with a yes that is not used yet, and those whose end is not told yet. */
  private readonly byIdentity = new Map<string, Entry>()
  private readonly grants = new Map<string, Grant>()
  private readonly denials = new Map<string, Entry>()
  private expired: Array<OpenRequest> = []
  private readonly listeners = new Set<(request: OpenRequest) => void>()
  private readonly clock: Clock.Clock
  private readonly openTime: GoDuration

  constructor(clock: Clock.Clock, openTime: GoDuration = defaultOpenTime) {
    this.clock = clock
    this.openTime = openTime
  }

  /** Decides about a lease whose rule wants an approval. It uses up a yes to one lease. */
  admit(asked: Asked): Admission {
    this.endOverdue()
    if (this.grants.has(questionOf(asked))) return Result.succeed({ undo: nothing })
    const known = this.byIdentity.get(identityOf(asked))
    if (known?.state === "approved") return Result.succeed({ undo: this.detach(known) })
    if (known?.state === "pending") return refuse(pendingError(known.request))
    const denied = this.denials.get(questionOf(asked))
    if (denied !== undefined) return refuse(deniedError(denied))
    // Told once; the next lease asks again.
    if (known !== undefined) return refuse(expiredError(known), this.detach(known))
    const opened = this.open(asked)
    if (Result.isFailure(opened)) return refuse(opened.failure)
    const { request } = opened.success
    return refuse(pendingError(request), () => this.remove(opened.success), request)
  }

  /** Returns the request for a missing secret: the equal one that is open or was declined, or a new one. */
  ask(asked: Asked) {
    this.endOverdue()
    const known = this.byIdentity.get(identityOf(asked))
    const same = known?.state === "pending" ? known : this.denials.get(questionOf(asked))
    if (same !== undefined) return Result.succeed({ ...same, isNew: false, undo: nothing })
    return Result.map(this.open(asked), (entry) => ({ ...entry, isNew: true, undo: () => this.remove(entry) }))
  }

  /** Returns whether a lease would need no answer now. */
  isGranted(asked: Asked): boolean {
    this.endOverdue()
    return this.grants.has(questionOf(asked)) || this.byIdentity.get(identityOf(asked))?.state === "approved"
  }

  /** Returns whether a yes for a while holds for leases like this one. */
  isApproved(asked: Parameters<typeof questionOf>[0]): boolean {
    this.endOverdue()
    return this.grants.has(questionOf(asked))
  }

  /** Returns the open requests, the oldest first. */
  pending(): ReadonlyArray<OpenRequest> {
    this.endOverdue()
    return [...this.byId.values()].filter(({ state }) => state === "pending").map(({ request }) => request)
  }

  /** Finds a request that is open, or ended a short time ago. */
  find(id: string): KnownRequest | undefined {
    this.endOverdue()
    return this.byId.get(id.toUpperCase())
  }

  /** Returns whether a request is open, or the answer takes a no back, which may have been a mistake. */
  isAnswerable(id: string, { _tag }: Answer): boolean {
    const state = this.find(id)?.state
    return state === "pending" || (state === "denied" && _tag === "Approve")
  }

  /** Answers a request that `isAnswerable`; returns whether it still is. */
  answer(id: string, answer: Answer): boolean {
    const entry = this.byId.get(id)
    if (entry === undefined || !this.isAnswerable(id, answer)) return false
    const question = questionOf(entry.request)
    this.denials.delete(question)
    this.detach(entry)
    if (answer._tag === "Deny") {
      this.denials.set(question, entry)
      entry.why = answer.why
      this.end(entry, entry.request.kind === "missing" ? "declined" : "denied", this.later(rememberFor))
    } else {
      if (answer.span === "once") this.byIdentity.set(identityOf(entry.request), entry)
      else this.grants.set(question, { request: entry.request, until: this.later(answer.span) })
      this.end(entry, "approved", this.later(useWithin))
    }
    return true
  }

  /** Ends the open requests for secrets that are stored now, and returns them. */
  store(isStored: (secretName: string) => boolean): ReadonlyArray<OpenRequest> {
    const stored = this.pending().filter(({ kind, secretName }) => kind === "missing" && isStored(secretName))
    for (const { id } of stored) {
      const entry = this.byId.get(id)
      if (entry === undefined) continue
      this.detach(entry)
      this.end(entry, "stored", this.later(rememberFor))
    }
    return stored
  }

  /** Takes approvals back that are not used up; returns their number. */
  revoke(isMeant: (request: OpenRequest) => boolean): number {
    this.endOverdue()
    const before = this.grants.size + this.byIdentity.size
    for (const [question, { request }] of this.grants) if (isMeant(request)) this.grants.delete(question)
    for (const entry of this.byIdentity.values()) {
      if (entry.state === "approved" && isMeant(entry.request)) this.detach(entry)
    }
    return before - this.grants.size - this.byIdentity.size
  }

  /** Takes every answer and every question about a lease back, so that each asks again; returns those that were open. */
  forget(): ReadonlyArray<OpenRequest> {
    const open = this.pending().filter(({ kind }) => kind === "approval")
    this.grants.clear()
    for (const entry of this.byId.values()) if (entry.request.kind === "approval") this.remove(entry)
    return open
  }

  /** Returns the requests that expired since the last call. */
  takeExpired(): ReadonlyArray<OpenRequest> {
    this.endOverdue()
    const taken = this.expired
    this.expired = []
    return taken
  }

  /** Returns when the next request may expire, by the wall clock. */
  nextExpiry(): number | undefined {
    const open = [...this.byId.values()].filter(({ state }) => state === "pending")
    return open.length === 0 ? undefined : Math.min(...open.map(({ until }) => until.wall))
  }

  /** Completes when a request that is open ends; at once if it has ended. */
  ended(id: string): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const cancel = this.onEnded(id, () => resume(Effect.void))
      return Effect.sync(cancel)
    })
  }

  /** Calls back when a request that is open ends; at once if it has ended. Returns what ends that. */
  onEnded(id: string, done: () => void): () => void {
    const entry = this.byId.get(id)
    if (entry?.state !== "pending") {
      done()
      return nothing
    }
    entry.waiting.add(done)
    return () => void entry.waiting.delete(done)
  }

  /** Passes on that a request was opened, and recorded. */
  announce(request: OpenRequest): void {
    for (const listener of this.listeners) listener(request)
  }

  /** Calls the function for each request that is opened; returns what ends that. */
  onOpened(listener: (request: OpenRequest) => void): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  private open(asked: Asked): Result.Result<Entry, TooManyRequests> {
    const open = this.pending()
    if (open.length >= requestLimits.all) {
      return Result.fail(new TooManyRequests({ whose: "all", limit: requestLimits.all }))
    }
    if (open.filter(({ countedAs }) => countedAs === asked.countedAs).length >= requestLimits.client) {
      return Result.fail(new TooManyRequests({ whose: "client", limit: requestLimits.client }))
    }
    const until = this.later(asked.kind === "missing" ? missingOpenTime : this.openTime)
    const openedAt = fromMillis(this.now().wall)
    const request = { ...asked, id: this.freeId(), openedAt, expiresAt: fromMillis(until.wall) }
    const entry: Entry = { request, state: "pending", why: "", until, waiting: new Set() }
    this.byId.set(request.id, entry)
    this.byIdentity.set(identityOf(request), entry)
    return Result.succeed(entry)
  }

  private now(): Moment {
    const steady = Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    return { wall: this.clock.currentTimeMillisUnsafe(), steady }
  }

  private later(duration: GoDuration): Moment {
    const [{ steady, wall }, millis] = [this.now(), toMillis(duration)]
    return { wall: wall + millis, steady: steady + millis }
  }

  private freeId(): string {
    const id = Array.from({ length: 4 }, () => letters[randomInt(letters.length)]).join("")
    return this.byId.has(id) ? this.freeId() : id
  }

  private end(entry: Entry, state: Entry["state"], until: Moment): void {
    entry.state = state
    entry.until = until
    this.wake(entry)
  }

  private wake({ waiting }: Entry): void {
    for (const done of waiting) done()
    waiting.clear()
  }

  /** The next equal request does not find it; returns what takes that back. */
  private detach(entry: Entry): () => void {
    const identity = identityOf(entry.request)
    if (this.byIdentity.get(identity) !== entry) return nothing
    this.byIdentity.delete(identity)
    return () => void this.byIdentity.set(identity, entry)
  }

  private remove(entry: Entry): void {
    this.byId.delete(entry.request.id)
    this.detach(entry)
    if (this.denials.get(questionOf(entry.request)) === entry) this.denials.delete(questionOf(entry.request))
    this.wake(entry)
  }

  /** Ends what is over. There are a few hundred at most. */
  private endOverdue(): void {
    const now = this.now()
    for (const [question, { until }] of this.grants) if (isOver(until, now)) this.grants.delete(question)
    for (const entry of this.byId.values()) {
      if (!isOver(entry.until, now)) continue
      if (entry.state === "pending") {
        this.end(entry, "expired", this.later(rememberFor))
        this.expired.push(entry.request)
      } else this.remove(entry)
    }
  }
}

/** Without vowels, an id is no word; I and O look like digits. */
const letters = "BCDFGHJKLMNPQRSTVWXZ"

const isOver = (deadline: Moment, now: Moment): boolean => now.wall >= deadline.wall || now.steady >= deadline.steady

const pendingError = ({ expiresAt, id }: OpenRequest) =>
  new ApprovalPending({ requestId: id, expiresAt: expiresAt.text })

const deniedError = ({ request, why }: Entry) =>
  new ApprovalDenied({ requestId: request.id, secretName: request.secretName, why })

const expiredError = ({ request }: Entry) =>
  new ApprovalExpired({ requestId: request.id, secretName: request.secretName })

/** Returns whether an approval is one of a client group and a secret. */
export const isApprovalOf = (clientId: string, secretName: string) => (request: OpenRequest) =>
  clientGroup(request.clientId) === clientGroup(clientId) && request.secretName === secretName

/** The table of this daemon. A start makes a new one. */
export const OpenRequests = Context.Reference<RequestTable>("agent-secrets/OpenRequests", {
  defaultValue: () => new RequestTable(Context.get(Context.empty(), Clock.Clock))
})

/** Makes the table of one start; `openTime` is how long a request for an approval stays open. */
export const requestsLayer = (openTime?: GoDuration) =>
  Layer.effect(
    OpenRequests,
    Effect.map(Clock.Clock, (clock) => new RequestTable(clock, openTime))
  )
