/**
 * Verifies the audit log once after the start, in the background, as `secrets audit --verify`
 * does. It reports what was changed while no daemon ran and the start did not look at. Leases
 * that the log does not have are dropped, and a store that the log has locked is locked.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { AuditLog } from "../audit/AuditLog.ts"
import { correctLeases } from "../operations/correctLeases.ts"
import { lockStore } from "../operations/lock.ts"

/** Several times as long as the work before it, so that requests do not wait for it. */
const pause = Duration.millis(5)

export const verifyAtStart = Effect.gen(function* () {
  const audit = yield* AuditLog
  const { corrections, findings, recorded } = yield* audit.verify(pause)
  // A log that was moved or changed since the start is recorded as that.
  if (yield* audit.isDisturbed) return
  yield* audit.report(
    findings.map(({ message }) => message),
    recorded
  )
  if (findings.some(({ kind }) => kind === "leases")) yield* correctLeases(corrections)
  if (findings.some(({ kind }) => kind === "lock")) yield* lockStore()
}).pipe(Effect.catch((error) => Effect.logWarning(`the check of the audit log failed: ${error.message}`)))
