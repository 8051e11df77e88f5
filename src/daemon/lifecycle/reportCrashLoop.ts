/**
 * A crash loop is told of: in the audit log, as an event and as a line of the log.
 *
 * Once for each, and before the store is read, so that also a daemon that gets no
 * further says so. The daemon serves all the same: who asks for a lease is better
 * off with a daemon that crashes at times than with one that refuses.
 */
import * as Effect from "effect/Effect"
import { crashLoopFact } from "../../domain/AuditEntry.ts"
import { unreportedCrashLoop } from "../../domain/runHistory.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { Instance } from "./Instance.ts"

export const reportCrashLoop = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  const { markCrashLoopReported, runs, startedAt } = yield* Instance
  const starts = unreportedCrashLoop(yield* runs, startedAt.millis)
  const [first] = starts ?? []
  const [last] = starts?.slice(-1) ?? []
  if (starts === undefined || first === undefined || last === undefined) return
  const details = `${starts.length} starts since ${first.at} after runs that did not end in order; the last: ${last.because}`
  yield* Effect.logError(`a crash loop: ${details}`)
  yield* sink.emit(OtelEvent.daemonCrashLooping({ uncleanStarts: starts.length, firstStartAt: first.at }, last.because))
  // What the log did not take is told again at the next start.
  yield* Effect.andThen(audit.append([crashLoopFact(details)]), markCrashLoopReported).pipe(
    Effect.catch((error) => Effect.logError(error.message))
  )
})
