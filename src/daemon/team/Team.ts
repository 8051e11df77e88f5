/**
 * The team of this machine: its place in the database, and what it last saw of it.
 *
 * A machine enters with the head of its audit log. From then on each commit moves that head in
 * the database by comparing it, so another process of the machine, a lost answer and an older
 * database are all found by the same comparison. While the database is away, everything that
 * needs it is refused at once, and one loop tries to come back.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { randomUUID } from "node:crypto"
import { type ChainHead, decodeChainedEntry, sha256 } from "../../domain/AuditChain.ts"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { auditRestoredFact } from "../../domain/daemonFacts.ts"
import { needsRestart } from "../../domain/needsRestart.ts"
import { lateReason, TeamAway, TeamChanged } from "../../domain/Team.ts"
import { version } from "../../version.ts"
import type { AuditCommit, ChainedLines, CommitChange } from "../audit/AuditCommit.ts"
import type { MemberList, SignedStatement } from "./members.ts"
import { makeOtherLogs } from "./otherLogs.ts"
import { pinMembers } from "./pinnedMembers.ts"
import { sqlState } from "./schema.ts"
import type { TeamMemory } from "./teamMemory.ts"
import { Committed, Entered, Lines, lookAtNothing, Looked, type LookRequest, type SecretRecord } from "./teamRows.ts"
import { monotonicMillis, type TeamCall, type TeamWire, WireError } from "./TeamWire.ts"

export type TeamState =
  | { readonly _tag: "Away"; readonly reason: string }
  /** The database answers, and whether its head is ours is not known. */
  | { readonly _tag: "Unsure" }
  | { readonly _tag: "Entered"; readonly machine: number; readonly epoch: number }
  /** A person has to look: nothing more is tried. */
  | { readonly _tag: "Stopped"; readonly reason: string }

export class Team extends Context.Service<
  Team,
  {
    readonly name: string
    readonly commit: AuditCommit
    /** Whether the last commit was sent longer ago than its answer may take: the process was frozen, or the machine slept. */
    readonly isLate: () => boolean
    /** Brings rows, and passes on the secrets that changed since the last look. */
    readonly look: (request: LookRequest) => Effect.Effect<Looked, TeamAway>
    /** Reads a list; `more` narrows it. */
    readonly read: <A>(what: string, schema: Schema.Codec<A, unknown>, more?: object) => Effect.Effect<A, TeamAway>
    /** The server's time, in milliseconds, as known here. */
    readonly now: Effect.Effect<number>
    /** The revision that the last look brought. */
    readonly revision: () => number
    readonly machine: () => number
    readonly state: () => TeamState
    /** The signed list of machines, as verified and pinned here. */
    readonly members: () => MemberList
    /** Adds a signed statement to the list in the database. */
    readonly declare: (signed: SignedStatement) => Effect.Effect<void, TeamAway>
    /** Waits until the list gets longer, or the database is found to be older. */
    readonly nextMembers: Effect.Effect<void>
    readonly memory: TeamMemory
    /** Sets what takes the secrets that changed. */
    readonly onSecrets: (take: (changed: ReadonlyArray<SecretRecord>) => Effect.Effect<void>) => void
    /** Asks at the interval, and comes back when the database does; `enter` commits something. */
    readonly keepUp: (enter: Effect.Effect<unknown, unknown>) => Effect.Effect<never>
  }
>()("agent-secrets/Team") {}

interface TeamOptions {
  readonly name: string
  readonly timeout: Duration.Duration
  readonly beat: Duration.Duration
  readonly memory: TeamMemory
}

/** Reads both clocks: the monotonic one does not count the time that a machine sleeps. */
const bothClocks = (clock: Clock.Clock) => ({
  monotonic: monotonicMillis(clock),
  wall: clock.currentTimeMillisUnsafe()
})

export const makeTeam = Effect.fnUntraced(function* (wire: TeamWire, options: TeamOptions) {
  const { memory, name } = options
  const timeout = Duration.toMillis(options.timeout)
  let state: TeamState = { _tag: "Unsure" }
  /** With them a process resumes, and cannot if another one of this machine has entered meanwhile. */
  const processId = randomUUID()
  let lastEpoch: number | undefined
  /** The number of the last entry of this machine before the start. */
  let startSeq: number | undefined
  let known = 0
  let take: ((changed: ReadonlyArray<SecretRecord>) => Effect.Effect<void>) | undefined
  const clock = yield* Clock.Clock
  /** The server's clock minus our monotonic one. */
  let ahead = clock.currentTimeMillisUnsafe() - monotonicMillis(clock)
  let lastCommit = { sent: bothClocks(clock), limit: timeout }
  const oneLook = Semaphore.withPermit(yield* Semaphore.make(1))

  const now = Effect.sync(() => Math.floor(monotonicMillis(clock) + ahead))
  const setClock = (server: number): void => void (ahead = server - monotonicMillis(clock))
  const isLate = () => {
    const { limit, sent } = lastCommit
    const { monotonic, wall } = bothClocks(clock)
    return monotonic - sent.monotonic > limit || wall - sent.wall > limit
  }

  /** Wakes what comes back, as soon as the place in the database is not ours for certain. */
  const left = yield* Queue.sliding<void>(1)

  const setState = (next: TeamState) =>
    Effect.suspend(() => {
      const before = state
      // Only a person ends that.
      if (before._tag === "Stopped") return Effect.void
      state = next
      if (before._tag === "Entered") Queue.offerUnsafe(left, undefined)
      if (next._tag === "Stopped") return Effect.logError(`the team rejects this machine: ${next.reason}`)
      if (next._tag === "Away" && before._tag !== "Away") {
        return Effect.logWarning(`the team's database is away: ${next.reason}; nothing is issued`)
      }
      return next._tag === "Entered" && before._tag !== "Entered"
        ? Effect.logInfo("the team's database takes entries of this machine")
        : Effect.void
    })

  /** Remembers why a call failed, and fails with it. Only what finds out our place decides that it is not ours any more. */
  const lost = Effect.fnUntraced(function* ({ code, reason: why }: WireError, isDecided = false) {
    const isFinal = isDecided && (code === sqlState.fenced || code === sqlState.forked)
    const reason = isFinal ? `${why}; ${needsRestart}` : why
    yield* setState(isFinal ? { _tag: "Stopped", reason } : { _tag: "Away", reason })
    yield* wire.drop
    return yield* new TeamAway({ reason })
  })

  const call = <A>(call: TeamCall, input: object, schema: Schema.Codec<A, unknown>) =>
    decode(wire.call(call, { machine: name, ...input }), schema)

  /** Calls, and remembers why if that fails. */
  const ask = <A>(name: TeamCall, input: object, schema: Schema.Codec<A, unknown>) =>
    call(name, input, schema).pipe(Effect.catch((error) => lost(error, name !== "put_1" && name !== "beat_1")))

  const refusal = Effect.suspend(() =>
    state._tag === "Away" || state._tag === "Stopped"
      ? Effect.fail(new TeamAway({ reason: state.reason }))
      : Effect.void
  )

  const remember = (changes: Parameters<TeamMemory["write"]>[0]) =>
    Effect.mapError(memory.write(changes), ({ message }) => new TeamAway({ reason: message }))

  const members = yield* pinMembers({
    name,
    memory,
    ask,
    stop: (reason) => lost(new WireError({ code: sqlState.forked, reason }), true)
  })
  if (members.problem !== undefined) state = { _tag: "Stopped", reason: `team.json: ${members.problem}` }

  /** Reads a list. Whether that fails says nothing about our place. */
  const glance = <A>(what: string, schema: Schema.Codec<A, unknown>, more: object = {}) =>
    Effect.andThen(
      refusal,
      Effect.mapError(call("read_1", { what, ...more }, schema), ({ reason }) => new TeamAway({ reason }))
    )
  const read = <A>(what: string, schema: Schema.Codec<A, unknown>, more: object = {}) =>
    Effect.andThen(refusal, ask("read_1", { what, ...more }, schema))

  /** Reads the lines of our chain in the database that follow a head. */
  const linesFrom = Effect.fnUntraced(function* (head: ChainHead, end: number) {
    let text = ""
    let at = head
    while (at.seq < end) {
      const page = yield* ask("read_1", { what: "lines", after: at.seq }, Lines)
      for (const line of page) {
        const entry = Option.getOrUndefined(decodeChainedEntry(line))
        if (entry?.seq !== at.seq + 1 || entry.prev !== at.hash) return undefined
        at = { seq: entry.seq, hash: sha256(`${line}\n`) }
        text += `${line}\n`
      }
      if (page.length === 0) return undefined
    }
    return text
  })

  /** Puts back the lines that the database has lost; their chain is ours, so they fit. */
  const putBack = Effect.fnUntraced(function* (
    { epoch, hash, machine, seq }: typeof Entered.Type,
    lines: ReadonlyArray<string>
  ) {
    let before: ChainHead = { seq, hash }
    for (let from = 0; from < lines.length; from += 1000) {
      const page = lines.slice(from, from + 1000)
      const after = { seq: before.seq + page.length, hash: sha256(`${page.at(-1)}\n`) }
      yield* ask("put_1", putInput({ machine, epoch }, { before, after, lines: page }, {}), Committed)
      before = after
    }
  })

  const enter: AuditCommit["enter"] = Effect.fnUntraced(function* (head, linesAfter) {
    yield* refusal
    if (state._tag === "Entered") return { missed: "", facts: [] }
    const { incarnation, restoring = false } = memory.read()
    const input = { ...head, program: version, incarnation, process: processId, epoch: lastEpoch }
    const entered = yield* ask("enter_1", input, Entered)
    setClock(entered.now)
    startSeq ??= entered.seq
    const facts: Array<AuditFact> = []
    let missed: string | undefined = ""
    if (entered.verdict === "behind") missed = yield* linesFrom(head, entered.seq)
    if (entered.verdict === "older") {
      const lines = yield* linesAfter(entered.seq)
      const [first] = lines.map((line) => Option.getOrUndefined(decodeChainedEntry(line)))
      if (first?.prev !== entered.hash || first.seq !== entered.seq + 1) missed = undefined
      else {
        yield* putBack(entered, lines)
        facts.push(auditRestoredFact(entered.seq, head.seq))
        yield* Effect.logWarning(`the team's database had lost ${lines.length} entries of this machine; they are back`)
      }
    }
    if (missed === undefined) {
      const reason = "audit.log is not a copy of the chain there"
      return yield* lost(new WireError({ code: sqlState.forked, reason }), true)
    }
    if (entered.incarnation !== incarnation) {
      // Another machine may have found that the database is older, and this one only sees its number.
      const isOlder = entered.verdict === "older" || (incarnation !== undefined && entered.incarnation > incarnation)
      yield* remember({ incarnation: entered.incarnation, restoring: restoring || isOlder })
      if (isOlder) {
        known = 0
        members.wake()
      }
    }
    lastEpoch = entered.epoch
    yield* setState({ _tag: "Entered", machine: entered.machine, epoch: entered.epoch })
    return { missed, facts }
  })

  const put: AuditCommit["put"] = Effect.fnUntraced(function* (lines, change) {
    if (state._tag !== "Entered") return yield* new TeamAway({ reason: "it is not entered yet" })
    const sent = bothClocks(clock)
    const split = { ...lines, lines: lines.text === "" ? [] : lines.text.trimEnd().split("\n") }
    const input = putInput(state, split, change ?? {})
    const count = typeof change?.["count"] === "number" ? change["count"] : 0
    const limit = count > manyLeases ? timeout + Math.ceil(count * millisPerLease) : timeout
    const answer =
      limit === timeout ? wire.call("put_1", input) : wire.callWithin(Duration.millis(limit), "put_1", input)
    const committed = yield* decode(answer, Committed).pipe(
      Effect.catch((error): Effect.Effect<never, TeamAway | TeamChanged> =>
        isStale(error.code) ? Effect.fail(new TeamChanged()) : lost(error)
      )
    )
    lastCommit = { sent, limit }
    // What this machine holds may be another's by now.
    if (isLate()) {
      yield* setState({ _tag: "Unsure" })
      return yield* new TeamAway({ reason: lateReason })
    }
    setClock(committed.now)
  })

  const look = Effect.fnUntraced(function* (request: LookRequest) {
    yield* refusal
    const looked = yield* ask("look_1", { ...request, revision: known }, Looked)
    setClock(looked.now)
    yield* members.follow(looked.members)
    if (looked.secrets.length > 0 && take !== undefined) yield* take(looked.secrets)
    known = looked.revision
    return looked
  }, oneLook)

  const beat = Effect.gen(function* () {
    if (state._tag !== "Entered") return
    const { now: server, revision } = yield* ask("beat_1", { epoch: state.epoch }, Committed)
    setClock(server)
    if (revision !== known) yield* look(lookAtNothing)
  }).pipe(Effect.ignore)

  /** Wakes what comes back, because a probe was answered. */
  const answered = yield* Queue.sliding<void>(1)

  let probes = 0
  /** Asks on a connection of its own. Only while it is away does the answer count: a newer one may have come first. */
  const probe = Effect.gen(function* () {
    probes += 1
    const answer = yield* Effect.result(
      wire.probe("look_1", { ...lookAtNothing, machine: name, revision: maxRevision })
    )
    probes -= 1
    if (state._tag !== "Away") return
    if (Result.isFailure(answer)) return yield* Effect.ignore(lost(answer.failure, true))
    yield* setState({ _tag: "Unsure" })
    Queue.offerUnsafe(answered, undefined)
  })

  /** The interval of the probes: short, but never so short that as many as may wait are used up within the timeout. */
  const longest = Math.min(500, Math.max(250, timeout / (maxProbes * shortest)))

  /**
   * Tries to enter, at first soon and then two to four times a second; until the server answers, requests are refused at once. No
   * probe waits for the one before, which may hang in a line that is healed by now.
   */
  const comeBack = Effect.fnUntraced(function* (enter: Effect.Effect<unknown, unknown>) {
    for (let wait = 50; ; wait = Math.min(2 * wait, longest)) {
      if (state._tag === "Away" && probes < maxProbes) yield* Effect.forkChild(probe)
      // Also while it is away, so that the log reports it.
      yield* Effect.ignore(enter)
      if (state._tag === "Entered" || state._tag === "Stopped") return
      // A little more or less, so that many machines do not come back at once.
      const nap = Effect.sleep(Duration.millis(wait * (shortest + (yield* Random.next) / 2)))
      yield* Effect.raceFirst(nap, Queue.take(answered))
    }
  })

  return Team.of({
    name,
    commit: {
      enter,
      isEntered: () => state._tag === "Entered",
      put,
      now,
      others: makeOtherLogs({ name, interval: options.beat, read: glance, since: () => startSeq })
    },
    isLate,
    look,
    read,
    now,
    revision: () => known,
    machine: () => (state._tag === "Entered" ? state.machine : 0),
    state: () => state,
    members: members.list,
    declare: members.declare,
    nextMembers: members.next,
    memory,
    onSecrets: (next) => void (take = next),
    keepUp: (enter) =>
      Effect.suspend(() => (state._tag === "Stopped" ? Effect.never : comeBack(enter))).pipe(
        Effect.andThen(Effect.raceFirst(Effect.sleep(options.beat), Queue.take(left))),
        Effect.andThen(beat),
        Effect.forever
      )
  })
})

const decode = <A>(answer: Effect.Effect<unknown, WireError>, schema: Schema.Codec<A, unknown>) =>
  Effect.flatMap(answer, (found) => Effect.orDie(Schema.decodeUnknownEffect(schema)(found)))

/** How often a change is tried because other machines changed the team first. */
export const maxTries = 20

/**
 * Probes that may wait at once: a server that is only slow gets no more of them. With a usual timeout they are never so
 * many, because one that did not begin would delay the return.
 */
const maxProbes = 10

/** The part of an interval that always passes. */
const shortest = 0.75

/** A change that ends more leases than these, all of the team, gets more time for each of them than a server takes. */
const manyLeases = 10_000
const millisPerLease = 0.02

/** Larger than any, for a look that brings no secret. */
const maxRevision = Number.MAX_SAFE_INTEGER

/** What is tried again with a look: foreign rows, a clock, and the conflicts that PostgreSQL finds. */
const staleCodes: ReadonlySet<string> = new Set([sqlState.stale, sqlState.clock, "40001", "40P01", "23505", "23503"])
const isStale = (code: string | undefined): boolean => code !== undefined && staleCodes.has(code)

interface SplitLines extends Omit<ChainedLines, "text"> {
  readonly lines: ReadonlyArray<string>
}

const putInput = (
  { epoch, machine }: { readonly machine: number; readonly epoch: number },
  { after, before, lines }: SplitLines,
  change: CommitChange
) => ({
  exclusive: false,
  secrets: [],
  ended: [],
  revoked: [],
  issued: [],
  ...change,
  machine,
  epoch,
  seq: before.seq,
  hash: before.hash,
  new_hash: after.hash,
  lines
})
