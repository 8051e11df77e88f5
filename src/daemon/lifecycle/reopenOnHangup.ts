/**
 * SIGHUP: the audit log is opened again, as log rotators ask for it.
 *
 * The log is followed before each entry anyway; this is for one that rests.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { AuditLog } from "../audit/AuditLog.ts"

/** Waits for hangups for ever; `onHangup` has something done at each. */
export const reopenOnHangup = Effect.fnUntraced(function* (onHangup: (run: () => void) => void) {
  const audit = yield* AuditLog
  const asked = yield* Queue.sliding<void>(1)
  yield* Effect.sync(() => onHangup(() => void Queue.offerUnsafe(asked, undefined)))
  const reopen = audit.reopen.pipe(
    Effect.matchEffect({
      onFailure: (error) => Effect.logWarning(`SIGHUP: ${error.cause.message}`),
      onSuccess: () => Effect.logInfo("SIGHUP: the audit log was opened anew")
    })
  )
  return yield* Effect.forever(Effect.andThen(Queue.take(asked), reopen))
})
