/**
 * Makes the active leases those of the audit log, where a start took others from a leases.json
 * that was changed together with its side file. Only for a log that is whole.
 *
 * A lease that the log has and the file had not is active again, unless its pair got another
 * one since or its secret was deleted. One that was ended since the log was read, by a request
 * that ends all leases, may come back; it expires as usual.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fileRepairedFact } from "../../domain/daemonFacts.ts"
import { counted } from "../../domain/counted.ts"
import { isSameGrant, type LeaseCorrections } from "../../domain/LeaseCheck.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { everything } from "../leases/LeaseScope.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export const correctLeases = Effect.fn("correctLeases")(function* ({ known, unknown }: LeaseCorrections) {
  const leases = yield* LeaseRepo
  const secrets = yield* SecretStore
  const has = (name: string) => secrets.lockedSince() !== undefined || Result.isSuccess(secrets.get(name))
  const details = yield* leases.transaction(everything, (tx) => {
    const dropped = unknown.flatMap((id) => tx.find(id) ?? [])
    for (const lease of dropped) tx.end(lease)
    const restored = known.filter((lease) => {
      const current = tx.find(lease.id)
      const isRight = current !== undefined && isSameGrant(current, lease)
      const isOpen = lease.expiresAt.millis > tx.now && tx.findRevoked(lease.id) === undefined
      // Requests since the start may have given the pair a lease, or deleted the secret.
      const isTaken = tx.ofPair(lease.secretName, lease.clientId).some(({ id }) => id !== lease.id)
      return !isRight && isOpen && !isTaken && has(lease.secretName)
    })
    for (const lease of restored) {
      const current = tx.find(lease.id)
      if (current !== undefined) tx.end(current)
      tx.issue(lease)
    }
    if (dropped.length + restored.length === 0) return Result.succeed(undefined)
    const text = `leases.json differed from the log: ${counted(dropped.length, "lease")} dropped, ${restored.length} restored`
    tx.record(fileRepairedFact(text))
    return Result.succeed(text)
  })
  if (details !== undefined) yield* Effect.logWarning(details)
})
