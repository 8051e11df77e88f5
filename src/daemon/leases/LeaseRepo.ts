/**
 * The lease table, changed only by transactions.
 *
 * One fiber runs the waiting transactions in order and writes all their audit entries with one
 * flush; then it replies to each. If that fails, the whole batch is undone and fails: no audit
 * entry, no change. Reads outside a transaction may be ahead of the disk by a batch.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { clockStepFact } from "../../domain/daemonFacts.ts"
import { factsOf } from "../../domain/Caller.ts"
import { type Lease, oldestOf } from "../../domain/Lease.ts"
import * as metrics from "../../otel/metrics.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import type { AuditPosition } from "../audit/AuditPosition.ts"
import { startBatchWriter } from "./batchWriter.ts"
import { type ClockStep, ClockStepDetector, clockStepSince } from "./clockSteps.ts"
import * as LeaseCheckpoint from "./LeaseCheckpoint.ts"
import type { LeaseScope } from "./LeaseScope.ts"
import { LeaseTable } from "./LeaseTable.ts"
import { LeaseTransaction } from "./LeaseTransaction.ts"
import { ScopedTransaction } from "./ScopedTransaction.ts"

export class LeaseRepo extends Context.Service<
  LeaseRepo,
  {
    /**
     * Runs a synchronous program as one atomic, durable step. A program that fails changes no lease. The scope states
     * which leases it may look at.
     */
    readonly transaction: <A, E>(
      scope: LeaseScope,
      program: (leases: LeaseTransaction) => Result.Result<A, E>
    ) => Effect.Effect<A, E | AuditLogError>
    /** Whether the process slept since the last transaction, so that its leases may be another's by now and no value may leave. */
    readonly isLate: () => boolean
    readonly active: Effect.Effect<ReadonlyArray<Lease>, AuditLogError>
    readonly activeCount: Effect.Effect<number>
    /** The active lease that was issued first; undefined if there is none, or too many to look for it. */
    readonly oldest: Effect.Effect<Lease | undefined, AuditLogError>
    /** The number of expired leases whose expiry is not recorded yet. */
    readonly expiredCount: Effect.Effect<number>
    /** The number of leases in leases.json that the start could not read and set aside. */
    readonly unreadableCount: number
    /** Removes at most `limit` expired leases from the active ones; returns when the next may expire, in milliseconds. */
    readonly deactivateExpired: (limit: number) => Effect.Effect<number | undefined>
    readonly activeCountOfSecret: (secretName: string) => Effect.Effect<number>
  }
>()("agent-secrets/LeaseRepo") {
  /** The leases in leases.json and the audit log. */
  static readonly layer = (leasesPath: string) =>
    Layer.effect(
      LeaseRepo,
      Effect.gen(function* () {
        const checkpoint = yield* LeaseCheckpoint.openCheckpoint(leasesPath)
        const changes = yield* Queue.sliding<void>(1)
        const onChange = (snapshot: () => LeaseCheckpoint.LeaseSnapshot, newLog: boolean) =>
          // A new log lacks the old entries, so leases.json must have them before any reply.
          newLog
            ? Effect.ignore(checkpoint.write(snapshot()))
            : Effect.sync(() => void Queue.offerUnsafe(changes, undefined))
        const { repo, snapshot, stop } = yield* start(checkpoint.leases, onChange, {
          open: (table, now) => new LeaseTransaction(table, now),
          unreadableCount: checkpoint.unreadable
        })
        if (checkpoint.isStale) Queue.offerUnsafe(changes, undefined)
        const saveAtStop = Effect.andThen(Effect.flatMap(stop, checkpoint.write), checkpoint.confirm).pipe(
          Effect.catch((error) => Effect.logWarning(`${error.message}; no lease is lost, the audit log has them`))
        )
        yield* Effect.addFinalizer(() => saveAtStop)
        yield* Effect.forkScoped(LeaseCheckpoint.writeCheckpoints(checkpoint, Queue.take(changes), snapshot))
        return repo
      })
    )

  /** The leases in memory only, for tests: it holds every program to its scope. */
  static readonly layerMemory = Layer.effect(
    LeaseRepo,
    Effect.gen(function* () {
      const { repo, stop } = yield* start([], () => Effect.void, {
        open: (table, now, scope) => new ScopedTransaction(table, now, scope),
        unreadableCount: 0
      })
      yield* Effect.addFinalizer(() => stop)
      return repo
    })
  )
}

/** A transaction that waits for the writer: it runs, becomes durable with its batch, and gets its reply. */
type PendingTransaction = (table: LeaseTable, now: number) => Completed

interface Completed {
  readonly facts: ReadonlyArray<AuditFact>
  readonly revoked?: number
  readonly undo: () => void
  readonly reply: (written: Exit.Exit<AuditPosition, AuditLogError>) => void
}

const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000

const shiftLeases = (table: LeaseTable, now: number, { forget, millis }: ClockStep): Completed => {
  // A lease that expired before the step stays expired.
  const active = table.count(now - millis)
  if (millis < 0) table.shift(millis)
  return {
    facts: [clockStepFact(millis, active)],
    undo: () => {
      if (millis < 0) table.shift(-millis)
      forget()
    },
    reply: () => undefined
  }
}

/** Handles a clock that was set back while no daemon ran. */
const followClockAtStart = Effect.fnUntraced(function* (audit: AuditLog["Service"], table: LeaseTable) {
  const now = yield* Clock.currentTimeMillis
  const millis = audit.lastEntryTime === undefined ? undefined : clockStepSince(audit.lastEntryTime.millis, now)
  if (millis === undefined) return
  const { facts } = shiftLeases(table, now, { millis, forget: () => undefined })
  yield* Effect.ignore(audit.append(facts))
})

/** Starts the writer; `onChange` runs after each batch that changed something, before its replies. */
const start = Effect.fnUntraced(function* (
  leases: Iterable<Lease>,
  onChange: (snapshot: () => LeaseCheckpoint.LeaseSnapshot, newLog: boolean) => Effect.Effect<void>,
  {
    open,
    unreadableCount
  }: {
    readonly open: (table: LeaseTable, now: number, scope: LeaseScope) => LeaseTransaction
    readonly unreadableCount: number
  }
) {
  const audit = yield* AuditLog
  const table = new LeaseTable()
  for (const lease of leases) table.insert(lease)
  yield* followClockAtStart(audit, table)
  let position = yield* audit.position
  let sequence = 0

  const clockAtStart = yield* Clock.Clock
  const clockSteps = new ClockStepDetector(clockAtStart.currentTimeMillisUnsafe(), monotonicMillis(clockAtStart))

  /** Moves the leases with a clock that was set back, as part of the batch that detects it. */
  const followClock = (now: number, monotonic: number): Array<Completed> => {
    const step = clockSteps.detect(now, monotonic)
    return step === undefined ? [] : [shiftLeases(table, now, step)]
  }

  const commit = Effect.fnUntraced(function* (batch: ReadonlyArray<PendingTransaction>) {
    const clock = yield* Clock.Clock
    const now = clock.currentTimeMillisUnsafe()
    const completed = followClock(now, monotonicMillis(clock))
    for (const pending of batch) completed.push(pending(table, now))
    const facts = completed.flatMap(({ facts }) => facts)
    const written = facts.length === 0 ? Exit.succeed(position) : yield* Effect.exit(audit.append(facts))
    if (Exit.isFailure(written)) {
      for (const { undo } of completed.toReversed()) undo()
    } else if (written.value !== position) {
      const newLog = written.value.generation !== position.generation
      position = written.value
      sequence += 1
      yield* metrics.countRevocations(completed.reduce((sum, { revoked = 0 }) => sum + revoked, 0))
      yield* onChange(() => ({ leases: table.active(now), position, sequence }), newLog)
    }
    for (const { reply } of completed) reply(written)
  })

  const writer = yield* startBatchWriter(commit)

  const repo = LeaseRepo.of({
    transaction: <A, E>(scope: LeaseScope, program: (leases: LeaseTransaction) => Result.Result<A, E>) =>
      writer.enqueue<A, E | AuditLogError>((reply, caller) => (leases, now) => {
        const { exit, facts, revoked, undo } = open(leases, now, scope).run(program)
        return {
          facts: factsOf(caller, facts),
          revoked,
          undo,
          reply: (written) => reply(Exit.isFailure(written) ? Exit.failCause(written.cause) : exit)
        }
      }),
    // Nobody else takes the files while this process has their lock.
    isLate: () => false,
    active: Effect.map(Clock.currentTimeMillis, (now) => table.active(now)),
    activeCount: Effect.map(Clock.currentTimeMillis, (now) => table.count(now)),
    oldest: Effect.map(Clock.currentTimeMillis, (now) => oldestOf(table.active(now))),
    unreadableCount,
    expiredCount: Effect.map(Clock.currentTimeMillis, (now) => table.expiredCount(now)),
    deactivateExpired: (limit) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        table.deactivateExpired(now, limit)
        return table.nextExpiry
      }),
    activeCountOfSecret: (name) => Effect.map(Clock.currentTimeMillis, (now) => table.countOfSecret(name, now))
  })

  /** Returns the leases between two batches, with their position in the log. */
  const snapshot = writer.enqueue<LeaseCheckpoint.LeaseSnapshot, never>((reply) => (leases, now) => ({
    facts: [],
    undo: () => undefined,
    reply: () => reply(Exit.succeed({ leases: leases.active(now), position, sequence }))
  }))

  /** Ends the writer after all waiting transactions; returns the final leases. */
  const stop = writer.stop.pipe(
    Effect.andThen(Clock.currentTimeMillis),
    Effect.map((now): LeaseCheckpoint.LeaseSnapshot => ({ leases: table.active(now), position, sequence }))
  )

  return { repo, snapshot, stop }
})
