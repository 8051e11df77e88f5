/**
 * health: the counts and warnings, from the store, the leases and the end of the
 * audit log. It reads that backwards and holds up no lease meanwhile; a log that
 * cannot be read tells of no access.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { health as report } from "../domain/health.ts"
import type { Timestamp } from "../domain/Timestamp.ts"
import { parse } from "../domain/Timestamp.ts"
import { AuditLog } from "./AuditLog.ts"
import { LeaseRepo } from "./LeaseRepo.ts"
import { SecretStore } from "./SecretStore.ts"

/** Entries that are looked through for accesses, as many as the predecessor did. */
const lookedThrough = 1000

export const health = Effect.gen(function* () {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const audit = yield* AuditLog
  const entries = yield* audit.tail(lookedThrough).pipe(Effect.orElseSucceed(() => []))
  const lastAccess = new Map<string, Timestamp>()
  for (const { action, secret_name, success, timestamp } of entries) {
    const at = parse(timestamp)
    if (action === "lease_acquire" && success && secret_name !== undefined && Option.isSome(at)) {
      lastAccess.set(secret_name, at.value)
    }
  }
  return report(yield* secrets.list, yield* leases.active, lastAccess, yield* Clock.currentTimeMillis)
})
