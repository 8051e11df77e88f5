/**
 * Loops that run as long as the daemon: metrics that are sampled and not counted, losses,
 * the files of the store, and SIGHUP. Failures of the sink and the audit log are reported to each other.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import { sinkDroppedFact } from "../../domain/daemonFacts.ts"
import { setActiveLeases, setEventsDropped, setEventsQueued, setExposedClients, setRuns } from "../../otel/metrics.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { ExposureLedger } from "../audit/ExposureLedger.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Runs } from "../runs/Runs.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/** A failing sink loses many events, so one entry covers those of an interval. */
const lossInterval = Duration.minutes(1)

/** Reports forever, and once more at the stop. A count that cannot be recorded is added to the next one. */
export const reportDroppedEvents = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  let reported = 0
  const report = Effect.gen(function* () {
    const dropped = yield* sink.dropped
    if (dropped === reported) return
    yield* audit.append([sinkDroppedFact(dropped - reported)])
    reported = dropped
  }).pipe(Effect.ignore)
  yield* Effect.sleep(lossInterval).pipe(
    Effect.andThen(Effect.repeat(report, Schedule.spaced(lossInterval))),
    Effect.onExit(() => report)
  )
})

/** Emits one event each time the audit log begins to fail. */
export const reportAuditFailures = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  return yield* Effect.forever(
    Effect.flatMap(audit.nextFailure, (reason) => sink.emit(OtelEvent.auditWriteFailed(reason)))
  )
})

/** As often as the directories are looked at: `checkFiles` of an unchanged store is five calls of stat(2). */
const fileInterval = Duration.seconds(4)

/** Looks at the files of the store, so that a lost or replaced one is reported before the next change. */
export const watchStoreFiles = Effect.gen(function* () {
  const secrets = yield* SecretStore
  return yield* Effect.forever(Effect.andThen(Effect.sleep(fileInterval), secrets.checkFiles))
})

/** The maximum age of what a collector gets. */
const sampleInterval = Duration.seconds(5)

export const sampleGauges = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  const secrets = yield* SecretStore
  const sink = yield* OtelSink
  const bySecret: Array<readonly [string, number]> = []
  const listed = yield* Effect.orElseSucceed(secrets.list, () => [])
  for (const { name } of listed) bySecret.push([name, yield* leases.activeCountOfSecret(name)])
  yield* setActiveLeases(bySecret, yield* leases.activeCount)
  const exposure = yield* Effect.flatMap(ExposureLedger, (ledger) => ledger.knownNow)
  if (exposure !== undefined) yield* setExposedClients(exposure.exposure.clientCounts())
  for (const { kind, queued } of yield* sink.state) yield* setEventsQueued(kind, queued)
  yield* setEventsDropped(yield* sink.dropped)
  yield* setRuns((yield* Runs).table.size)
})

/** Samples only if there is a collector: a metrics request samples by itself. */
export const sampleGaugesForever = Effect.gen(function* () {
  const sink = yield* OtelSink
  const receivers = yield* sink.state
  if (!receivers.some(({ kind }) => kind === "otlp")) return yield* Effect.never
  return yield* Effect.repeat(sampleGauges, Schedule.spaced(sampleInterval))
})

/**
 * Reopens the audit log at SIGHUP, for log rotators, and then reloads what else is read again. Each append follows the
 * file anyway; this covers a quiet log.
 */
export const reopenOnHangup = Effect.fn("reopenOnHangup")(function* <R>(
  onHangup: (run: () => void) => void,
  reload: Effect.Effect<void, never, R>
) {
  const audit = yield* AuditLog
  const hangups = yield* Queue.sliding<void>(1)
  yield* Effect.sync(() => onHangup(() => void Queue.offerUnsafe(hangups, undefined)))
  const reopen = audit.reopen.pipe(
    Effect.matchEffect({
      onFailure: (error) => Effect.logWarning(`SIGHUP: ${error.cause.message}`),
      onSuccess: () => Effect.logInfo("SIGHUP: reopened the audit log")
    })
  )
  return yield* Effect.forever(Effect.andThen(Queue.take(hangups), Effect.andThen(reopen, reload)))
})
