/**
 * Reports the start, the stop and crash loops: to the audit log, the sink and the log.
 *
 * Nothing here prevents a start or a stop; what cannot be recorded is logged.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../domain/counted.ts"
import { crashLoopFact, crashRecoveredFact, startFact } from "../../domain/daemonFacts.ts"
import { withStore } from "../../domain/storeFacts.ts"
import type { ListenSocket } from "../../domain/ListenSocket.ts"
import { unreportedCrashLoop } from "../../domain/runHistory.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { version } from "../../version.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { daemonStatus } from "../operations/status.ts"
import { sweepExpired } from "../operations/sweep.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { Instance } from "./Instance.ts"

/** Reports the start, and a crash of the run before. */
export const announceStart = Effect.fn("announceStart")(function* (
  socketPath: string,
  sockets: ReadonlyArray<ListenSocket>
) {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  const { crash, markRunning, pid, startedAt } = yield* Instance
  const expired = yield* sweepExpired().pipe(Effect.orElseSucceed(() => []))
  const { activeLeases, secretCount } = yield* daemonStatus

  const { hash, lockedSince } = yield* SecretStore
  const listening = sockets.map(({ path, role }) => (sockets.length === 1 ? path : `${path} (${role})`)).join(", ")
  const facts = [withStore(startFact(listening), yield* hash)]
  if (crash !== undefined) {
    const previous = crash.pid === undefined ? "the last daemon" : `process ${crash.pid}, started ${crash.startedAt},`
    const details = `${previous} did not stop in order${crash.staleSocket ? "; its socket was removed" : ""}`
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
  // On a full disk the daemon starts too, and rejects leases until there is space.
  yield* Effect.all([orLog(markRunning), orLog(audit.append(facts))], { concurrency: "unbounded", discard: true })
  const { line: auditHash, seq: auditSeq } = yield* audit.position
  yield* sink.emit(
    OtelEvent.daemonStarted({ pid, version, socketPath, activeLeases, secretCount, auditSeq, auditHash })
  )
  const since = lockedSince()
  if (since !== undefined) {
    yield* Effect.logWarning(`the store is locked since ${since}: no lease and no change until secrets unlock`)
  }
  yield* Effect.logInfo(`agent-secrets ${version} serves ${counted(secretCount, "secret")} on ${socketPath}`)
})

export const announceStop = Effect.fn("announceStop")(function* (reason: string) {
  const sink = yield* OtelSink
  const { pid, setExitReason, startedAt } = yield* Instance
  yield* setExitReason(reason)
  const { activeLeases } = yield* daemonStatus
  const uptimeMs = (yield* Clock.currentTimeMillis) - startedAt.millis
  yield* Effect.logInfo(`agent-secrets stops (${reason})`)
  const { line: auditHash, seq: auditSeq } = yield* Effect.flatMap(AuditLog, ({ position }) => position)
  yield* sink.emit(OtelEvent.daemonStopped({ pid, reason, uptimeMs, activeLeases, auditSeq, auditHash }))
})

/**
 * Reports a crash loop, once per loop and before the store is opened, so that a daemon that fails there still reports it.
 * The daemon serves all the same: one that sometimes crashes is better than none.
 */
export const reportCrashLoop = Effect.gen(function* () {
  const audit = yield* AuditLog
  const sink = yield* OtelSink
  const { markCrashLoopReported, runs, startedAt } = yield* Instance
  const starts = unreportedCrashLoop(yield* runs, startedAt.millis)
  const [first] = starts ?? []
  const [last] = starts?.slice(-1) ?? []
  if (starts === undefined || first === undefined || last === undefined) return
  const details = `${starts.length} starts since ${first.at} after runs that did not stop in order; the last: ${last.because}`
  yield* Effect.logError(`crash loop: ${details}`)
  yield* sink.emit(OtelEvent.daemonCrashLooping({ uncleanStarts: starts.length, firstStartAt: first.at }, last.because))
  // If the audit log fails, the next start reports the loop again.
  yield* orLog(Effect.andThen(audit.append([crashLoopFact(details)]), markCrashLoopReported))
})

const orLog = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.asVoid,
    Effect.catch((error) => Effect.logError(error.message))
  )
