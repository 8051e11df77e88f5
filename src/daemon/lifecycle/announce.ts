/**
 * What is said and recorded when the daemon begins to serve and when it ends.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { crashRecoveredFact, startFact } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { version } from "../../version.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { Instance } from "./Instance.ts"
import { daemonStatus } from "../operations/status.ts"
import { sweepExpired } from "../operations/sweep.ts"

/** Records the start, says that the daemon runs, and tells of a crash before. */
export const announceStart = Effect.fnUntraced(function* (socketPath: string) {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  const { crash, markRunning, pid, startedAt } = yield* Instance
  const expired = yield* sweepExpired().pipe(Effect.orElseSucceed(() => []))
  const { activeLeases, secretCount } = yield* daemonStatus

  const facts = [startFact(socketPath)]
  if (crash !== undefined) {
    const who = crash.pid === undefined ? "the last daemon" : `process ${crash.pid}, started ${crash.startedAt},`
    const details = `${who} did not stop in order${crash.staleSocket ? "; its socket was removed" : ""}`
    yield* Effect.logWarning(details)
    facts.unshift(crashRecoveredFact(details))
    yield* sink.emit(
      OtelEvent.daemonCrashRecovered({
        previousPid: crash.pid,
        previousStartedAt: crash.startedAt,
        downtimeMs: audit.lastEntryTime === undefined ? undefined : startedAt.millis - audit.lastEntryTime.millis,
        staleSocket: crash.staleSocket,
        leasesRestored: activeLeases,
        leasesExpired: expired.length
      })
    )
  }
  // On a full disk the daemon still starts: it refuses leases until the cause is gone, and says why.
  yield* Effect.all([orSaid(markRunning), orSaid(audit.append(facts))], { concurrency: "unbounded", discard: true })
  const { line: auditHash, seq: auditSeq } = yield* audit.position
  yield* sink.emit(
    OtelEvent.daemonStarted({ pid, version, socketPath, activeLeases, secretCount, auditSeq, auditHash })
  )
  yield* Effect.logInfo(`agent-secrets ${version} serves ${secretCount} secrets on ${socketPath}`)
})

const orSaid = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>) =>
  effect.pipe(
    Effect.asVoid,
    Effect.catch((error) => Effect.logError(error.message))
  )

export const announceStop = Effect.fnUntraced(function* (reason: string) {
  const sink = yield* OtelSink
  const { setExitReason, pid, startedAt } = yield* Instance
  yield* setExitReason(reason)
  const { activeLeases } = yield* daemonStatus
  const uptimeMs = (yield* Clock.currentTimeMillis) - startedAt.millis
  yield* Effect.logInfo(`agent-secrets stops (${reason})`)
  const { line: auditHash, seq: auditSeq } = yield* Effect.flatMap(AuditLog, ({ position }) => position)
  yield* sink.emit(OtelEvent.daemonStopped({ pid, reason, uptimeMs, activeLeases, auditSeq, auditHash }))
})
