/**
 * Reports failures of the sink and the audit log to each other: lost events become an
 * audit entry, and a failing audit log becomes an event.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { sinkDroppedFact } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"

/** A failing sink loses many events, so one entry covers those of an interval. */
const interval = Duration.minutes(1)

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
  yield* Effect.sleep(interval).pipe(
    Effect.andThen(Effect.repeat(report, Schedule.spaced(interval))),
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
