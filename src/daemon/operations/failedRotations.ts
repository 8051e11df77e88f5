/**
 * failedRotations: the secrets whose last rotation failed, as the audit log has it.
 *
 * A new value entered by hand ends that. It reads the log backwards, only as far as needed, and
 * blocks no request.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { lockedReason } from "../secrets/lockableStore.ts"

/** In characters: thousands of entries, of which rotations are few. */
const maxLength = 4 * 1024 * 1024

/** Returns how the command ended, by the name of the secret. */
export const failedRotations = Effect.fn("failedRotations")(function* (names: ReadonlyArray<string>) {
  const audit = yield* AuditLog
  const [open, failed] = [new Set(names), new Map<string, string>()]
  let length = 0
  if (open.size === 0) return failed
  yield* audit.readBackwards((line) => {
    length += line.length
    const entry = mayDecide.test(line) ? Option.getOrUndefined(decodeEntry(line)) : undefined
    // No command was run while the store was locked.
    if (entry?.secret_name !== undefined && entry.details !== lockedReason && open.delete(entry.secret_name)) {
      if (!entry.success) failed.set(entry.secret_name, entry.details ?? "")
    }
    return open.size > 0 && length < maxLength
  })
  return failed
})

/** A change that was rejected decides nothing. Decoding an entry is much slower than this. */
const mayDecide = /"action":"secret_(?:rotate"|(?:add|update)".*"success":true)/
