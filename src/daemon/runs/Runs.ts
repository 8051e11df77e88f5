/**
 * The programs that run with values. The starter of one waits here for what ends its leases.
 *
 * Notices come from the audit log alone: as soon as an entry is on the disk, and before any
 * reply, the runs that it concerns have theirs. The daemon signals no program. A run whose
 * connection is gone is over after five seconds; its leases stay as they are.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { connectionLost, runEndFact, runToldFact } from "../../domain/leaseFacts.ts"
import type { Caller } from "../../domain/Caller.ts"
import { type Notice, NoticeReader, type PlacedNotice } from "../../domain/Run.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { makeMissedNotices, type MissedNotices } from "./missedNotices.ts"
import { type Run, type RunConnection, RunTable, wakeWaiting } from "./RunTable.ts"

/** Waiting starters that get their reply before other requests have a turn. */
const wokenPerTurn = 1024

/** How long a run lasts without its connection. */
export const reconnectTime = Duration.seconds(5)

export class Runs extends Context.Service<
  Runs,
  {
    readonly table: RunTable
    /** The number of the audit entry up to which the runs have every notice. */
    readonly cursor: () => number
    /** Makes a run belong to a connection, with which it ends. */
    readonly attach: (run: Run, connection: RunConnection) => Effect.Effect<void>
    /** Removes a run whose end is recorded. */
    readonly finish: (run: Run, because: string) => Effect.Effect<void>
    /** Reads from the log what happened since an entry. */
    readonly missedSince: (after: number) => Effect.Effect<MissedNotices, AuditLogError>
    /** Calls back when a run has a notice to read, or is over; returns what ends that. */
    readonly onNotice: (run: Run, done: () => void) => () => void
    /** Records that the starter of a run gets these notices, after the replies that do not wait for it. */
    readonly recordTold: (run: Run, notices: ReadonlyArray<PlacedNotice>) => Effect.Effect<void>
    /** Records what of that is not recorded yet, before the end of a run is. */
    readonly flushTold: Effect.Effect<void>
  }
>()("agent-secrets/Runs") {
  static readonly layer = Layer.effect(
    Runs,
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const sink = yield* OtelSink
      const scope = yield* Effect.scope
      const table = new RunTable()
      const reader = new NoticeReader((yield* audit.position).seq)
      const missed = makeMissedNotices(audit)
      const toWake = new Set<Run>()
      const wakes = yield* Queue.sliding<void>(1)
      const notify = (notices: ReadonlyArray<PlacedNotice>) => {
        for (const notice of notices) {
          missed.add(notice)
          for (const run of table.notify(notice)) toWake.add(run)
        }
        if (toWake.size > 0) Queue.offerUnsafe(wakes, undefined)
      }
      const wakeSome = Effect.sync(() => {
        for (const run of toWake.values().take(wokenPerTurn)) {
          toWake.delete(run)
          wakeWaiting(run)
        }
      })
      const wakeThem = Effect.whileLoop({
        while: () => toWake.size > 0,
        body: () => Effect.andThen(wakeSome, Effect.yieldNow),
        step: () => undefined
      })
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(wakes), wakeThem)))
      yield* audit.observe({
        written: (facts, first, { text: at }) => {
          facts.forEach((fact, index) => {
            notify(reader.next(fact, first + index, at))
            if (fact.action === "run_begin" && fact.run_id !== undefined) table.begin(fact.run_id, first + index, at)
          })
        },
        stored: (hash) => notify(reader.stored(hash))
      })

      const told: Array<Told> = []
      const toRecord = yield* Queue.sliding<void>(1)
      /** One write for many, instead of one for each. */
      const flushTold = Effect.gen(function* () {
        const taken = told.splice(0)
        for (const [caller, of] of Map.groupBy(taken, (one) => one.caller)) {
          const facts = of.flatMap(({ notices, run }) =>
            notices.map(({ kind, secretName }) => runToldFact(run, kind, secretName))
          )
          yield* Effect.ignore(Effect.provideService(audit.append(facts), CurrentCaller, caller))
        }
        for (const { notices, run } of taken) {
          for (const notice of notices) {
            yield* metrics.countNotice(notice.kind)
            yield* sink.emit(OtelEvent.runNotified(run, notice))
          }
        }
      }).pipe(Effect.uninterruptible)
      yield* Effect.addFinalizer(() => flushTold)
      const flushNext = Effect.andThen(Effect.andThen(Queue.take(toRecord), Effect.yieldNow), flushTold)
      yield* Effect.forkScoped(Effect.forever(flushNext))

      const byConnection = new Map<RunConnection, Set<Run>>()
      const remove = (run: Run): void => {
        table.remove(run)
        byConnection.get(run.connection)?.delete(run)
      }
      const finish = Effect.fnUntraced(function* (run: Run, because: string) {
        if (table.find(run.id) !== run) return
        remove(run)
        yield* metrics.countRunEnd
        yield* sink.emit(OtelEvent.runEnded(run, because))
      })
      const lose = Effect.fnUntraced(function* (run: Run) {
        yield* run.carrier?.end(connectionLost()) ?? Effect.void
        yield* flushTold
        yield* Effect.ignore(audit.append([runEndFact(run, connectionLost(run.pid))]))
        yield* finish(run, connectionLost())
      })
      const attach = (run: Run, connection: RunConnection) =>
        Effect.suspend(() => {
          byConnection.get(run.connection)?.delete(run)
          run.connection = connection
          const others = byConnection.get(connection)
          if (others !== undefined) return Effect.sync(() => void others.add(run))
          const runs = new Set([run])
          byConnection.set(connection, runs)
          return Effect.andThen(connection.closed, Effect.sleep(reconnectTime)).pipe(
            Effect.andThen(Effect.suspend(() => Effect.forEach(runs, lose, { discard: true }))),
            Effect.ensuring(Effect.sync(() => byConnection.delete(connection))),
            Effect.interruptible,
            Effect.forkIn(scope),
            Effect.asVoid
          )
        })

      return Runs.of({
        table,
        cursor: () => reader.settled,
        attach,
        finish,
        missedSince: missed.since,
        onNotice: (run, done) => {
          if (run.unread.length > 0 || table.find(run.id) !== run) done()
          else run.wake = [...run.wake, done]
          return () => {
            run.wake = run.wake.filter((other) => other !== done)
          }
        },
        recordTold: (run, notices) =>
          Effect.withFiber((fiber) => {
            told.push({ run, notices, caller: fiber.getRef(CurrentCaller) })
            Queue.offerUnsafe(toRecord, undefined)
            return Effect.void
          }),
        flushTold
      })
    })
  )
}

/** Notices that the starter of a run gets, through this socket. */
interface Told {
  readonly run: Run
  readonly notices: ReadonlyArray<PlacedNotice>
  readonly caller: Caller
}

/** Returns the ids of the runs that these notices are for. */
export const idsReached = (table: RunTable, notices: ReadonlyArray<Notice>): ReadonlyArray<string> => [
  ...new Set(notices.flatMap((notice) => table.reached(notice).map(({ id }) => id)))
]
