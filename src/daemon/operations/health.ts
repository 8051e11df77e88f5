/**
 * health: the counts and warnings, from the store, the leases and the end of the
 * audit log. It reads that backwards, no further than it has to, and holds up no lease
 * meanwhile; a log that cannot be read tells of no access.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { healthReport as report } from "../../domain/health.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { parseTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/** Entries that are looked through for accesses, as many as the predecessor did. */
const lookedThrough = 1000

export const checkHealth = Effect.gen(function* () {
  const secrets = yield* Effect.flatMap(SecretStore, (store) => store.list)
  const leases = yield* LeaseRepo
  const accesses = yield* lastAccesses(secrets.map(({ name }) => name)).pipe(
    Effect.orElseSucceed(() => new Map<string, Timestamp>())
  )
  return report(secrets, yield* leases.active, accesses, yield* Clock.currentTimeMillis)
})

/** When each of the secrets was leased last, where that was lately. */
const lastAccesses = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const audit = yield* AuditLog
  const missing = new Set<unknown>(names)
  const accesses = new Map<string, Timestamp>()
  let looked = 0
  if (missing.size === 0) return accesses
  yield* audit.readBackwards((line) => {
    const read = readLine(line)
    if (read === undefined) return true
    looked += 1
    const access = missing.has(read.secret) ? accessIn(line) : undefined
    if (access !== undefined) {
      accesses.set(access.secret, access.at)
      missing.delete(access.secret)
    }
    return missing.size > 0 && looked < lookedThrough
  })
  return accesses
})

/** What a line is about. An entry is judged only where that counts: it takes ten times as long. */
const readLine = (line: string): { readonly secret: unknown } | undefined => {
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
