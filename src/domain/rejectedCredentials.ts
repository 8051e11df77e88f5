/**
 * Which values were rejected where they are used: a helper was told so, and the value has not changed
 * since. It is found in the audit log alone.
 */
import type { AuditEntry } from "./AuditEntry.ts"
import { valueChanges } from "./Exposure.ts"

export interface RejectedCredential {
  readonly secretName: string
  /** Of the last rejection; it names the target. */
  readonly clientId: string
  readonly lastAt: string
  readonly times: number
}

/** Takes the entries from the newest to the oldest. */
export class RejectionSearch {
  private readonly found = new Map<string, RejectedCredential>()
  private readonly changed = new Set<string>()

  visit({ action, client_id: clientId = "", details, secret_name: secretName, success, timestamp }: AuditEntry): void {
    if (secretName === undefined || this.changed.has(secretName)) return
    if (success && valueChanges.has(action)) this.changed.add(secretName)
    // One with details was rejected itself.
    if (action !== "credential_rejected" || details !== undefined) return
    const last = this.found.get(secretName) ?? { secretName, clientId, lastAt: timestamp, times: 0 }
    this.found.set(secretName, { ...last, times: last.times + 1 })
  }

  result(): ReadonlyArray<RejectedCredential> {
    return [...this.found.values()]
  }
}
