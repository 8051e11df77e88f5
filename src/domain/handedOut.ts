/**
 * Which values are outside: those that were leased since they last changed. It is found in
 * the audit log alone, so the answer is the same after a wipe and while the store is locked.
 *
 * A value that was handed out works until it is changed where it is used, regardless of what became
 * of its lease, and of the secret in this store.
 */
import type { AuditEntry } from "./AuditEntry.ts"

export interface HandedOut {
  readonly secretName: string
  /** How many leases gave this value. */
  readonly leases: number
  /** When the last of them was acquired. */
  readonly lastAt: string
}

const gives = new Set(["lease_acquire", "lease_adopt"])
/** A secret that is added again has another value. */
export const valueChanges: ReadonlySet<string> = new Set(["secret_add", "secret_update", "secret_rotate"])

/** Takes the entries from the newest to the oldest. */
export class HandedOutSearch {
  private readonly found = new Map<string, HandedOut>()
  /** The secrets whose last change was passed. */
  private readonly done = new Set<string>()

  visit({ action, secret_name: secretName, success, timestamp }: AuditEntry): void {
    if (!success || secretName === undefined || this.done.has(secretName)) return
    if (valueChanges.has(action)) this.done.add(secretName)
    if (!gives.has(action)) return
    const { lastAt = timestamp, leases = 0 } = this.found.get(secretName) ?? {}
    this.found.set(secretName, { secretName, leases: leases + 1, lastAt })
  }

  /** Returns the values, the one that was leased last first. */
  result(): ReadonlyArray<HandedOut> {
    return [...this.found.values()]
  }
}
