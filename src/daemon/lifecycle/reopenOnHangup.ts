/**
 * SIGHUP: reopens the audit log, for log rotators. Each append follows the file anyway;
 * this covers a log without appends.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { AuditLog } from "../audit/AuditLog.ts"

/** Handles SIGHUP forever; `onHangup` sets the signal handler. */
export const reopenOnHangup = Effect.fn("reopenOnHangup")(function* (onHangup: (run: () => void) => void) {
  const audit = yield* AuditLog
  const hangups = yield* Queue.sliding<void>(1)
  yield* Effect.sync(() => onHangup(() => void Queue.offerUnsafe(hangups, undefined)))
  const reopen = audit.reopen.pipe(
    Effect.matchEffect({
      onFailure: (error) => Effect.logWarning(`SIGHUP: ${error.cause.message}`),
      onSuccess: () => Effect.logInfo("SIGHUP: reopened the audit log")
    })
  )
  return yield* Effect.forever(Effect.andThen(Queue.take(hangups), reopen))
})
