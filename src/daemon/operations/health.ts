/**
 * health: counts and warnings, from the store, the leases and the end of the audit log.
 *
 * It reads the log backwards, only as far as needed, and blocks no request. If the log
 * cannot be read, no access is known.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { type DaemonFault, healthReport } from "../../domain/health.ts"
import { parseTimestamp, type Timestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/** Entries to search for accesses, as in the predecessor. */
const maxEntries = 1000

export const checkHealth = Effect.gen(function* () {
  const store = yield* SecretStore
  const secrets = yield* Effect.orElseSucceed(store.list, () => [])
  const leases = yield* LeaseRepo
  const accesses = yield* lastAccesses(secrets.map(({ name }) => name)).pipe(
    Effect.orElseSucceed(() => new Map<string, Timestamp>())
  )
  const now = yield* Clock.currentTimeMillis
  const { findings } = yield* Effect.flatMap(AuditLog, (audit) => audit.diagnostics)
  const [failure, lockedSince] = [yield* store.failure, store.lockedSince()]
  const faults: Array<DaemonFault> = []
  if (lockedSince !== undefined) {
    faults.push({ type: "store_locked", message: `The store is locked since ${lockedSince}: no lease and no change` })
  }
  if (failure !== undefined) {
    faults.push({ type: "store_rejects_changes", message: "The store rejects changes; secrets status shows why" })
  }
  if (findings.length > 0) {
    faults.push({ type: "audit_findings", message: `The audit log has findings: ${findings.join("; ")}` })
  }
  const report = healthReport(secrets, yield* leases.active, accesses, now, faults)
  return { ...report, total_secrets: yield* store.count }
})

/** Finds the last acquire of each secret among the newest entries. */
const lastAccesses = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const audit = yield* AuditLog
  const missing = new Set<unknown>(names)
  const accesses = new Map<string, Timestamp>()
  let entries = 0
  if (missing.size === 0) return accesses
  yield* audit.readBackwards((line) => {
    const entry = parseLine(line)
    if (entry === undefined) return true
    entries += 1
    const access = missing.has(entry.secret) ? accessIn(line) : undefined
    if (access !== undefined) {
      accesses.set(access.secret, access.at)
      missing.delete(access.secret)
    }
    return missing.size > 0 && entries < maxEntries
  })
  return accesses
})

/** Parses only the name of the secret, because decoding a whole entry is much slower. */
const parseLine = (line: string): { readonly secret: unknown } | undefined => {
  try {
    const entry: unknown = JSON.parse(line)
    return typeof entry === "object" && entry !== null ? { secret: Reflect.get(entry, "secret_name") } : undefined
  } catch {
    return undefined
  }
}

const accessIn = (line: string): { readonly secret: string; readonly at: Timestamp } | undefined => {
  const { action, secret_name: secret, success, timestamp } = Option.getOrUndefined(decodeEntry(line)) ?? {}
  if (action !== "lease_acquire" || success !== true || secret === undefined) return undefined
  const at = Option.getOrUndefined(parseTimestamp(timestamp ?? ""))
  return at === undefined ? undefined : { secret, at }
}
