/**
 * The table of leases, changed only by transactions.
 *
 * One fiber owns the table. It takes the transactions that wait, runs them one
 * after the other over the table, and writes the audit entries of all of them with
 * one append and one flush; only then does any of them get its answer. When the
 * append fails, every change of the batch is undone and every one of them is told
 * so: no audit entry, no change.
 *
 * What is read outside a transaction may run ahead of the disk by the batch that is
 * being written.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { clockStepFact } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import * as metrics from "../../otel/metrics.ts"
import type { AuditLogError, AuditPosition } from "../audit/AuditLog.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { type ClockStep, ClockStepDetector, clockStepSince } from "./clockSteps.ts"
import * as LeaseCheckpoint from "./LeaseCheckpoint.ts"
import { LeaseTable } from "./LeaseTable.ts"
import { LeaseTransaction } from "./LeaseTransaction.ts"

export class LeaseRepo extends Context.Service<
  LeaseRepo,
  {
    /**
     * Runs a program over the leases as one atomic, durable step; a program that fails changes no lease.
     * All others wait for it.
     */
    readonly transaction: <A, E>(
      program: (leases: LeaseTransaction) => Result.Result<A, E>
    ) => Effect.Effect<A, E | AuditLogError>
    readonly active: Effect.Effect<ReadonlyArray<Lease>>
    readonly activeCount: Effect.Effect<number>
    /** Leases whose time is over and whose end is not recorded yet. */
    readonly expiredCount: Effect.Effect<number>
    /** Leases of leases.json that could not be read at the start, and were set aside. */
    readonly unreadableCount: number
    /** Looks for at most so many leases that are over; gives when the next one may be, in milliseconds. */
    readonly deactivateExpired: (most: number) => Effect.Effect<number | undefined>
    readonly activeCountOfSecret: (secretName: string) => Effect.Effect<number>
  }
>()("agent-secrets/LeaseRepo") {
  /** The leases kept in leases.json and in the audit log. */
  static readonly layer = (leasesPath: string) =>
    Layer.effect(
      LeaseRepo,
      Effect.gen(function* () {
        const checkpoint = yield* LeaseCheckpoint.openCheckpoint(leasesPath)
        const changes = yield* Queue.sliding<void>(1)
        const onChange = (snapshot: () => LeaseCheckpoint.LeaseSnapshot, newLog: boolean) =>
          // Entries that are in the old log only must be in leases.json before anybody hears of what the new one has.
          newLog
            ? Effect.ignore(checkpoint.write(snapshot()))
            : Effect.sync(() => void Queue.offerUnsafe(changes, undefined))
        const { repo, snapshot, stop } = yield* start(checkpoint.leases, onChange, checkpoint.unreadable)
        if (checkpoint.isStale) Queue.offerUnsafe(changes, undefined)
        const saveAtEnd = Effect.andThen(Effect.flatMap(stop, checkpoint.write), checkpoint.confirm).pipe(
          Effect.catch((fault) => Effect.logWarning(`${fault.message}; the audit log has the leases`))
        )
        yield* Effect.addFinalizer(() => saveAtEnd)
        yield* Effect.forkScoped(LeaseCheckpoint.writeCheckpoints(checkpoint, Queue.take(changes), snapshot))
        return repo
      })
    )

  /** The leases in memory alone, for tests; the audit log is whichever is provided. */
  static readonly layerMemory = Layer.effect(
    LeaseRepo,
    Effect.gen(function* () {
      const { repo, stop } = yield* start([], () => Effect.void)
      yield* Effect.addFinalizer(() => stop)
      return repo
    })
  )
}

/** How many are written with one flush: enough that the flush is not what limits, few enough to take a moment. */
const batchLength = 256

/** Something on its way through the writer: run over the table, made durable with its batch, then answered. */
interface Waiting {
  readonly run: (table: LeaseTable, now: number) => Ran
  /** Tells the one who waits that the batch broke down. */
  readonly abandon: (cause: Cause.Cause<never>) => void
}

interface Ran {
  readonly facts: ReadonlyArray<AuditFact>
  readonly revoked?: number
  readonly undo: () => void
  readonly answer: (durable: Exit.Exit<AuditPosition, AuditLogError>) => void
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1000n) / 1000)

const shiftLeases = (table: LeaseTable, now: number, { forget, millis }: ClockStep): Ran => {
  // What was over before the step stays so.
  const active = table.count(now - millis)
  if (millis < 0) table.shift(millis)
  return {
    facts: [clockStepFact(millis, active)],
    undo: () => {
      if (millis < 0) table.shift(-millis)
      forget()
    },
    answer: () => undefined
  }
}

/** A clock that was set back while no daemon ran would make the leases live longer as well. */
const followClockSince = Effect.fnUntraced(function* (audit: AuditLog["Service"], table: LeaseTable) {
  const now = yield* Clock.currentTimeMillis
  const millis = audit.lastEntryTime === undefined ? undefined : clockStepSince(audit.lastEntryTime.millis, now)
  if (millis === undefined) return
  const { facts } = shiftLeases(table, now, { millis, forget: () => undefined })
  yield* Effect.ignore(audit.append(facts))
})

/** `onChange` runs after each batch that changed something, before it is answered. */
const start = Effect.fnUntraced(function* (
  leases: Iterable<Lease>,
  onChange: (snapshot: () => LeaseCheckpoint.LeaseSnapshot, newLog: boolean) => Effect.Effect<void>,
  unreadableCount = 0
) {
  const audit = yield* AuditLog
  const table = new LeaseTable()
  for (const lease of leases) table.insert(lease)
  yield* followClockSince(audit, table)
  let position = yield* audit.position
  let sequence = 0
  // Each waits for its answer, so there are no more of them than requests at work.
  const queue = yield* Queue.unbounded<Waiting, Cause.Done>()

  const clock = new ClockStepDetector(yield* Clock.currentTimeMillis, yield* monotonicMillis)

  /** Moves the leases with a clock that was set back; part of the batch that noticed it. */
  const followClock = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const step = clock.detect(now, yield* monotonicMillis)
    return step === undefined ? [] : [shiftLeases(table, now, step)]
  })

  const commit = Effect.fnUntraced(function* (batch: ReadonlyArray<Waiting>) {
    const ran: Array<Ran> = yield* followClock
    const now = yield* Clock.currentTimeMillis
    for (const waiting of batch) ran.push(waiting.run(table, now))
    const facts = ran.flatMap((one) => one.facts)
    const written = facts.length === 0 ? Exit.succeed(position) : yield* Effect.exit(audit.append(facts))
    if (Exit.isFailure(written)) {
      for (const one of ran.toReversed()) one.undo()
    } else if (written.value !== position) {
      const newLog = written.value.generation !== position.generation
      position = written.value
      sequence += 1
      yield* metrics.countRevocations(ran.reduce((sum, one) => sum + (one.revoked ?? 0), 0))
      yield* onChange(() => ({ leases: table.active(now), position, sequence }), newLog)
    }
    for (const one of ran) one.answer(written)
  })

  const commitOrAbandon = (batch: ReadonlyArray<Waiting>) =>
    Effect.catchCause(commit(batch), (cause) => {
      for (const waiting of batch) waiting.abandon(cause)
      return Effect.logFatal("the lease table broke down", cause)
    })

  const writer = yield* Queue.takeBetween(queue, 1, batchLength).pipe(
    Effect.flatMap(commitOrAbandon),
    Effect.forever,
    Effect.ignore,
    Effect.uninterruptible,
    Effect.forkDetach
  )

  const enqueue = <A, E>(run: (answer: (exit: Exit.Exit<A, E>) => void) => Waiting["run"]): Effect.Effect<A, E> =>
    Effect.callback((answer) => {
      const waiting = { run: run(answer), abandon: (cause: Cause.Cause<never>) => answer(Exit.failCause(cause)) }
      if (!Queue.offerUnsafe(queue, waiting)) answer(Effect.interrupt)
    })

  const repo = LeaseRepo.of({
    transaction: <A, E>(program: (leases: LeaseTransaction) => Result.Result<A, E>) =>
      enqueue<A, E | AuditLogError>((answer) => (leases, now) => {
        const { exit, facts, revoked, undo } = new LeaseTransaction(leases, now).run(program)
        return {
          facts,
          revoked,
          undo,
          answer: (durable) => answer(Exit.isFailure(durable) ? Exit.failCause(durable.cause) : exit)
        }
      }),
    active: Effect.map(Clock.currentTimeMillis, (now) => table.active(now)),
    activeCount: Effect.map(Clock.currentTimeMillis, (now) => table.count(now)),
    unreadableCount,
    expiredCount: Effect.map(Clock.currentTimeMillis, (now) => table.expiredCount(now)),
    deactivateExpired: (most) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        table.deactivateExpired(now, most)
        return table.nextExpiry
      }),
    activeCountOfSecret: (name) => Effect.map(Clock.currentTimeMillis, (now) => table.countOfSecret(name, now))
  })

  /** The leases between two batches, and how far into the log they reach. */
  const snapshot = enqueue<LeaseCheckpoint.LeaseSnapshot, never>((answer) => (leases, now) => ({
    facts: [],
    undo: () => undefined,
    answer: () => answer(Exit.succeed({ leases: leases.active(now), position, sequence }))
  }))

  /** Ends the writer when all that wait have been answered; gives the leases as they are then. */
  const stop = Queue.end(queue).pipe(
    Effect.andThen(Fiber.await(writer)),
    Effect.andThen(Clock.currentTimeMillis),
    Effect.map((now): LeaseCheckpoint.LeaseSnapshot => ({ leases: table.active(now), position, sequence }))
  )

  return { repo, snapshot, stop }
})
