/**
 * health: counts and warnings, from the store, the leases and the end of the audit log.
 *
 * It reads the log backwards, only as far as needed, and blocks no request. If the log
 * cannot be read, no access is known.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type DaemonFault, healthReport } from "../../domain/health.ts"
import { type GoDuration, toMillis } from "../../domain/GoDuration.ts"
import { quote } from "../../domain/goText.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { failedRotations } from "./failedRotations.ts"
import { lastLeases } from "./lastLeases.ts"
import { findRejections } from "./rejections.ts"

/** Entries to search for accesses, as in the predecessor. */
const maxEntries = 1000

/** Returns the report; `defaultTtl` is that of a lease whose request has none. */
export const checkHealth = Effect.fn("checkHealth")(function* (defaultTtl: GoDuration) {
  const store = yield* SecretStore
  const secrets = yield* Effect.orElseSucceed(store.list, () => [])
  const leases = yield* LeaseRepo
  const names = secrets.map(({ name }) => name)
  const accesses = yield* lastLeases(names, { lines: maxEntries, length: Infinity }).pipe(
    Effect.map(({ leases: last }) => new Map(last.entries().map(([name, { at }]) => [name, at]))),
    Effect.orElseSucceed(() => new Map<string, Timestamp>())
  )
  const now = yield* Clock.currentTimeMillis
  const rotating = secrets.filter(({ rotateVia }) => rotateVia !== "").map(({ name }) => name)
  const failed = yield* Effect.orElseSucceed(failedRotations(rotating), () => new Map<string, string>())
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
  for (const [name, outcome] of failed) {
    const message = `The last rotation of ${quote(name)} failed: ${outcome}`
    faults.push({ type: "rotation_failed", secret_name: name, message })
  }
  const rejected = yield* Effect.orElseSucceed(findRejections(names), () => [])
  for (const { clientId, secretName, times } of rejected) {
    const often = times === 1 ? "" : `, ${times} times`
    const message = `${quote(secretName)} was rejected by its target: ${quote(clientId)}${often}`
    faults.push({ type: "credential_rejected", secret_name: secretName, message })
  }
  const report = healthReport(secrets, yield* leases.active, accesses, now, faults, toMillis(defaultTtl))
  return { ...report, total_secrets: yield* store.count }
})
