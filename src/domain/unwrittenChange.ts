/**
 * Finds a change of the store that was recorded and never written, because the daemon was killed
 * in between: then secrets.age is still the one that was named before it.
 */
import type { AuditEntry } from "./AuditEntry.ts"
import { isChangeFailed } from "./storeFacts.ts"

const changes: ReadonlySet<string> = new Set([
  "secret_add",
  "secret_update",
  "secret_edit",
  "secret_delete",
  "secret_rotate"
])

export class UnwrittenChange {
  private store: string | undefined
  /** The entries of one change; the last of them names the store. */
  private batch: Array<AuditEntry> = []
  private last:
    | { readonly entries: ReadonlyArray<AuditEntry>; readonly before: string | undefined; readonly after: string }
    | undefined

  /** Takes the entries in their order. */
  add(entry: AuditEntry): void {
    const { action, store, success } = entry
    const isChange = success && changes.has(action)
    if (isChange) this.batch.push(entry)
    if (store !== undefined && (isChange || action === "store_restore")) {
      this.last = { entries: this.batch, before: this.store, after: store }
      this.batch = []
    } else if (!isChange) this.batch = []
    if (isChangeFailed(entry)) this.last = undefined
    this.store = store ?? this.store
  }

  /** Returns the entries of the last change, if the store on disk is the one before it. */
  end(onDisk: string | undefined): ReadonlyArray<AuditEntry> {
    const { last } = this
    const isBefore = last !== undefined && onDisk !== undefined && onDisk === last.before && onDisk !== last.after
    return isBefore ? last.entries : []
  }
}
