/**
 * The sink and the audit log, each told of what the other cannot take: lost events
 * are counted in the log, and a log that cannot be written is an event.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { sinkDroppedFact } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"

/** A sink that fails loses one event after the other; one entry for many of them is enough. */
const interval = Duration.minutes(1)

/** Looks for ever, and once more at the end. A count that could not be recorded is part of the next one. */
export const reportDroppedEvents = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  let told = 0
  const look = Effect.gen(function* () {
    const dropped = yield* sink.dropped
    if (dropped === told) return
    yield* audit.append([sinkDroppedFact(dropped - told)])
    told = dropped
  }).pipe(Effect.ignore)
  yield* Effect.sleep(interval).pipe(
    Effect.andThen(Effect.repeat(look, Schedule.spaced(interval))),
    Effect.onExit(() => look)
  )
})

/** One event each time the log begins to fail. */
export const reportAuditFailures = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  return yield* Effect.forever(
    Effect.flatMap(audit.nextFailure, (reason) => sink.emit(OtelEvent.auditWriteFailed(reason)))
  )
})
