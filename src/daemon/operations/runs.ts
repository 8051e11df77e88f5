/**
 * Registers, watches, concludes and lists runs: programs that were given values.
 *
 * A run begins only while its leases are active, and before its program starts. So there is no
 * moment in which a revoke finds neither a lease nor a run. After a restart of the daemon, who
 * started the program takes the run up again, and gets what happened meanwhile from the log.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import * as path from "node:path"
import type { LeaseOrigin } from "../../domain/factMakers.ts"
import { releaseFact, runBeginFact, runEndFact, runRefusedFact } from "../../domain/leaseFacts.ts"
import { type Caller, ownsLease } from "../../domain/Caller.ts"
import { isExpired, type Lease, LeaseNotFound } from "../../domain/Lease.ts"
import { type PlacedNotice, RunNotFound, TooManyRuns } from "../../domain/Run.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { everything } from "../leases/LeaseScope.ts"
import type { LeaseTransaction } from "../leases/LeaseTransaction.ts"
import { Runs } from "../runs/Runs.ts"
import { acknowledge, addEarlier, type Run, type RunConnection, takeUnread } from "../runs/RunTable.ts"

export interface RunRequest {
  readonly clientId: string
  readonly leaseIds: ReadonlyArray<string>
  readonly origin: LeaseOrigin
  readonly pid: number | undefined
  readonly connection: RunConnection
}

/** A run of an earlier daemon, or one that lost its connection. */
export interface TakenUpRun extends RunRequest {
  readonly runId: string
  /** The secret of each lease, which may be over. */
  readonly secretNames: ReadonlyArray<string>
  /** The last audit entry that its starter knows of. */
  readonly after: number
}

/** Begins a run; fails if one of its leases is over. */
export const registerRun = Effect.fn("registerRun")(function* (request: RunRequest) {
  const caller = yield* CurrentCaller
  const run = yield* addRun(request, randomUUID(), undefined, (tx) => {
    const leases = request.leaseIds.map((id) => [id, tx.find(id)] as const)
    const over = leases.find(
      ([, lease]) =>
        lease === undefined ||
        lease.clientId !== request.clientId ||
        isExpired(lease, tx.now) ||
        !ownsLease(caller, lease)
    )
    return over === undefined
      ? Result.succeed(leases.flatMap(([id, lease]) => (lease === undefined ? [] : [[lease.secretName, id] as const])))
      : Result.fail(new LeaseNotFound({ leaseId: over[0] }))
  })
  return { run, runId: run.id, cursor: run.begunSeq }
})

/** Takes up a run; its next watch returns what happened after the entry that its starter knows. */
export const takeUpRun = Effect.fn("takeUpRun")(function* (request: TakenUpRun) {
  const { after, clientId, connection, leaseIds, runId, secretNames } = request
  const caller = yield* CurrentCaller
  const runs = yield* Runs
  const known = runs.table.find(runId)
  if (known !== undefined) {
    if (known.clientId !== clientId || !ownsRun(caller, known)) return yield* new RunNotFound({ runId })
    acknowledge(known, after, false)
    yield* runs.attach(known, connection)
    return { runId, cursor: after }
  }
  const pairs = leaseIds.map((id, at) => [secretNames[at] ?? "", id] as const)
  const ended: Array<string> = []
  const run = yield* addRun(request, runId, after, (tx) => {
    const foreign = pairs.find(([secretName]) => !ownsLease(caller, { clientId, secretName }))
    if (foreign !== undefined) return Result.fail(new LeaseNotFound({ leaseId: foreign[1] }))
    for (const [name, id] of pairs) if (tx.find(id) === undefined) ended.push(name)
    return Result.succeed(pairs)
  })
  const missed = yield* Effect.tapError(runs.missedSince(after), () => runs.finish(run, "not taken up"))
  addEarlier(run, missed.notices)
  // Without the log, a lease that is over may have been revoked.
  if (!missed.isComplete || after >= run.begunSeq) {
    const { begunAt: at, begunSeq: seq } = run
    addEarlier(
      run,
      ended.map((secretName): PlacedNotice => ({ kind: "revoked", secretName, clientId, seq, at }))
    )
  }
  return { runId, cursor: after }
})

type Pairs = ReadonlyArray<readonly [secretName: string, leaseId: string]>

/** Registers a run in the transaction that checks its leases. */
const addRun = Effect.fnUntraced(function* (
  { clientId, connection, leaseIds, origin, pid }: RunRequest,
  id: string,
  after: number | undefined,
  check: (tx: LeaseTransaction) => Result.Result<Pairs, LeaseNotFound>
) {
  const leases = yield* LeaseRepo
  const runs = yield* Runs
  const sink = yield* OtelSink
  let begun: Run | undefined
  const { program } = origin
  const named = program === undefined ? origin : { ...origin, program: path.basename(program) }
  const registering = leases.transaction(
    { _tag: "Leases", ids: leaseIds },
    (tx): Result.Result<Run, LeaseNotFound | TooManyRuns> => {
      const pairs = check(tx)
      if (Result.isFailure(pairs)) {
        tx.record(runRefusedFact(clientId, "a lease is over"))
        return Result.fail(pairs.failure)
      }
      const run = newRun({ id, clientId, leases: new Map(pairs.success), origin: named, pid, connection })
      if (!runs.table.prepare(run)) {
        tx.record(runRefusedFact(clientId, "too many runs"))
        return Result.fail(new TooManyRuns())
      }
      begun = run
      tx.record(runBeginFact(run, after))
      return Result.succeed(run)
    }
  )
  const run = yield* Effect.tapError(registering, () =>
    Effect.sync(() => begun !== undefined && runs.table.remove(begun))
  )
  yield* runs.attach(run, connection)
  yield* sink.emit(OtelEvent.runBegun(run))
  return run
})

const newRun = (given: Pick<Run, "id" | "clientId" | "leases" | "origin" | "pid" | "connection">): Run => ({
  ...given,
  carrier: undefined,
  begunAt: "",
  begunSeq: 0,
  told: undefined,
  unread: [],
  sent: [],
  wake: []
})

/** Returns whether a caller may see and end a run. */
export const ownsRun = (caller: Caller, { clientId, leases }: Pick<Run, "clientId" | "leases">): boolean =>
  caller.scope === undefined || leases.keys().every((secretName) => ownsLease(caller, { clientId, secretName }))

const findRun = Effect.fnUntraced(function* (runId: string) {
  const { table } = yield* Runs
  const run = table.find(runId)
  if (run === undefined || !ownsRun(yield* CurrentCaller, run)) return yield* new RunNotFound({ runId })
  return run
})

/** Begins to watch a run: what the reply before held was read, up to `after` if that went through another connection. */
export const watchRun = Effect.fnUntraced(function* (watch: {
  readonly runId: string
  readonly after: number
  readonly pid: number | undefined
  /** The new leases of a program that was started again. */
  readonly given: Pairs
  readonly connection: RunConnection
}) {
  const runs = yield* Runs
  const run = yield* findRun(watch.runId)
  const given = watch.given.filter(([secretName]) => run.leases.has(secretName))
  if (given.length > 0) run.leases = new Map([...run.leases, ...given])
  acknowledge(run, watch.after, run.connection === watch.connection)
  if (run.connection !== watch.connection) yield* runs.attach(run, watch.connection)
  run.pid = watch.pid ?? run.pid
  return run
})

/** Returns the notices of a run, and records that its starter gets them. That is no condition for a signal to be sent. */
export const readNotices = Effect.fnUntraced(function* (run: Run) {
  const runs = yield* Runs
  const notices = takeUnread(run)
  if (notices.length > 0) yield* runs.recordTold(run, notices)
  return { notices, cursor: Math.max(runs.cursor(), ...notices.map(({ seq }) => seq)) }
})

/** Ends a run with the leases that are its own, or that were acquired for it later. No other run is concerned. */
export const concludeRun = Effect.fn("concludeRun")(function* (end: {
  readonly runId: string
  readonly leaseIds: ReadonlyArray<string>
  readonly details: string
}) {
  const leases = yield* LeaseRepo
  const runs = yield* Runs
  const sink = yield* OtelSink
  const run = yield* findRun(end.runId)
  yield* run.carrier?.end(end.details) ?? Effect.void
  const ids = [...new Set([...run.leases.values(), ...end.leaseIds])]
  yield* runs.flushTold
  const ended = yield* leases.transaction({ _tag: "Leases", ids }, (tx) => {
    const own = ids.flatMap((id) => tx.find(id) ?? []).filter(({ clientId }) => clientId === run.clientId)
    for (const lease of own) tx.revoke(lease, releaseFact(lease, run.id))
    tx.record(runEndFact(run, end.details))
    return Result.succeed(own)
  })
  yield* runs.finish(run, end.details)
  if (ended.length > 0) yield* sink.emit(OtelEvent.leasesRevoked(ended, 0, onlySecret(ended)))
  return ended.length
})

const onlySecret = (leases: ReadonlyArray<Lease>): string | undefined =>
  leases.every(({ secretName }) => secretName === leases[0]?.secretName) ? leases[0]?.secretName : undefined

export interface RunFilter {
  readonly clientId: string | undefined
  readonly secretName: string | undefined
  /** Only those that were notified. */
  readonly told: boolean
}

/** Lists the caller's runs, the newest first, each with how many of its secrets have an active lease. */
export const listRuns = Effect.fn("listRuns")(function* (filter: RunFilter, limit: number) {
  const leases = yield* LeaseRepo
  const { table } = yield* Runs
  const caller = yield* CurrentCaller
  const all = filter.secretName === undefined ? [...table.all()] : table.ofSecret(filter.secretName, filter.clientId)
  const found = all.filter(
    (run) =>
      (filter.clientId === undefined || run.clientId === filter.clientId) &&
      (!filter.told || run.told !== undefined) &&
      ownsRun(caller, run)
  )
  const listed = found.slice(-limit).toReversed()
  const runs = yield* leases.transaction(everything, (tx) =>
    Result.succeed(
      listed.map((run) => ({
        run,
        active: [...run.leases.keys()].filter((name) => tx.ofPair(name, run.clientId).length > 0).length
      }))
    )
  )
  return { runs, total: found.length }
})
