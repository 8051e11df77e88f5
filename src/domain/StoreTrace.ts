/**
 * Follows the hash of secrets.age through the audit log. Only entries that change the store
 * may name another one than the entry before. A change is recorded before it is written, so a
 * crash may leave the store before it.
 */
import type { AuditEntry } from "./AuditEntry.ts"

/** Their successful entries name the store after the change; all others name the store that is there. */
const changes = /^(secret_|store_|team_leave$|audit_adopt$|file_mended$)/

export class StoreTrace {
  private current: string | undefined
  /** The store before the last change, while that may not have been written. */
  private before: string | undefined
  private at = 0

  /** Returns what is wrong with the store that the entry names; undefined if nothing is. */
  add({ action, seq = 0, store, success }: AuditEntry): string | undefined {
    // An orderly stop waits for the change that is being written.
    if (action === "daemon_stop") this.before = undefined
    if (store === undefined) return undefined
    const isChange = success && changes.test(action)
    const isOther = !isChange && !this.isKnown(store)
    const problem = isOther || action === "audit_finding" ? otherStore(this.at) : undefined
    this.before = isChange ? this.current : undefined
    this.current = store
    this.at = seq
    return problem
  }

  /** Accepts any store next: the predecessor records no changes. */
  forget(): void {
    this.current = this.before = undefined
  }

  /** Returns what is wrong with the store on disk; `written` is the last one that was certainly written. */
  end(store: string | undefined, written: string | undefined): string | undefined {
    if (store === undefined || store === this.current || this.current === undefined) return undefined
    return store === this.before && written !== this.current ? undefined : otherStore(this.at)
  }

  private isKnown(store: string): boolean {
    return this.current === undefined || store === this.current || store === this.before
  }
}

export const otherStore = (seq: number): string =>
  `secrets.age is not the store that entry ${seq} names: it was replaced or rolled back`
