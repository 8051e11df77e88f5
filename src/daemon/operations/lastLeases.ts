/**
 * lastLeases: who leased each secret last, and when, as the audit log has it.
 *
 * It reads the log backwards, only as far as needed, and blocks no request. A caller with
 * limits finds its own leases alone.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { ownsLease } from "../../domain/Caller.ts"
import { parseTimestamp, type Timestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"

export interface LastLease {
  readonly clientId: string
  readonly at: Timestamp
}

/** How much of the log to read at most. */
export interface LogLimits {
  readonly lines: number
  /** In characters. */
  readonly length: number
}

/** Searches the log; `complete` is false if there may be others: in older entries that were not read, in the logs of other machines, or hidden from the caller. */
export const lastLeases = Effect.fn("lastLeases")(function* (names: ReadonlyArray<string>, limits: LogLimits) {
  const audit = yield* AuditLog
  const caller = yield* CurrentCaller
  const missing = new Set<unknown>(names)
  const leases = new Map<string, LastLease>()
  let [lines, length, complete] = [0, 0, caller.scope === undefined && audit.others === undefined]
  if (missing.size === 0) return { leases, complete }
  yield* audit.readBackwards((line) => {
    const found = mayMatch(line, missing) ? leaseIn(line) : undefined
    if (found !== undefined && missing.has(found.secretName) && ownsLease(caller, found)) {
      leases.set(found.secretName, found)
      missing.delete(found.secretName)
    }
    lines += 1
    length += line.length
    if (missing.size === 0) return false
    return (lines < limits.lines && length < limits.length) || (complete = false)
  })
  return { leases, complete }
})

/** Parses only the name of the secret, because decoding a whole entry is much slower. */
const mayMatch = (line: string, names: ReadonlySet<unknown>): boolean => {
  if (!line.includes('"lease_acquire"')) return false
  try {
    const entry: unknown = JSON.parse(line)
    return typeof entry === "object" && entry !== null && names.has(Reflect.get(entry, "secret_name"))
  } catch {
    return false
  }
}

const leaseIn = (line: string): (LastLease & { readonly secretName: string }) | undefined => {
  const {
    action,
    client_id: clientId = "",
    secret_name: secretName,
    success,
    timestamp
  } = Option.getOrUndefined(decodeEntry(line)) ?? {}
  if (action !== "lease_acquire" || success !== true || secretName === undefined) return undefined
  const at = Option.getOrUndefined(parseTimestamp(timestamp ?? ""))
  return at === undefined ? undefined : { secretName, clientId, at }
}
