/**
 * findHandedOut: the secrets whose values were leased since they last changed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { HandedOutSearch } from "../../domain/handedOut.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { maxReadBytes } from "./searchAudit.ts"

/** Returns the values that were handed out; `complete` is false if the log has older entries that were not read. */
export const findHandedOut = Effect.fn("findHandedOut")(function* (limits: {
  readonly count: number
  readonly length: number
}) {
  const audit = yield* AuditLog
  const search = new HandedOutSearch()
  let [read, complete] = [0, true]
  yield* audit.readBackwards((line) => {
    read += line.length
    if (/"(lease_acquire|lease_adopt|secret_\w+)"/.test(line)) {
      const entry = Option.getOrUndefined(decodeEntry(line))
      if (entry !== undefined) search.visit(entry)
    }
    return read < maxReadBytes || (complete = false)
  })
  const found = search.result()
  let length = 0
  const secrets = found.slice(0, limits.count).filter(({ secretName }) => (length += secretName.length) < limits.length)
  return { secrets, total: found.length, complete }
})
