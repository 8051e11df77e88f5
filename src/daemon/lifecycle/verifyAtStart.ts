/**
 * Verifies the audit log once after the start, in the background, as `secrets audit --verify`
 * does. It reports what was changed while no daemon ran and the start did not look at.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { AuditLog } from "../audit/AuditLog.ts"

/** Several times as long as the work before it, so that requests do not wait for it. */
const pause = Duration.millis(5)

export const verifyAtStart = Effect.gen(function* () {
  const audit = yield* AuditLog
  const { findings, recorded } = yield* audit.verify(pause)
  // A log that was moved or changed since the start is recorded as that.
  if (yield* audit.isDisturbed) return
  yield* audit.report(
    findings.map(({ message }) => message),
    recorded
  )
}).pipe(Effect.catch((error) => Effect.logWarning(`the audit log was not verified: ${error.message}`)))
