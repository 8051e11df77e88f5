/**
 * Restores the active leases by replaying the audit log. Replay is idempotent. It ignores
 * entries that are not about leases, and `lease_acquire` entries without `expires_at`, which
 * the predecessor writes. If the predecessor was the last to write, its leases.json is
 * copied into the log as `lease_adopt` entries.
 */
import * as Option from "effect/Option"
import type { AuditEntry } from "./AuditEntry.ts"
import { type Lease, shiftExpiry } from "./Lease.ts"
import { parseTimestamp } from "./Timestamp.ts"

/** Applies entries to leases. */
export const replay = (before: ReadonlyArray<Lease>, entries: ReadonlyArray<AuditEntry>): ReadonlyArray<Lease> => {
  const replayed = new LeaseReplay(before)
  for (const entry of entries) replayed.add(entry)
  return replayed.leases()
}

/** Applies entries one by one. */
export class LeaseReplay {
  private readonly table: Table

  constructor(before: ReadonlyArray<Lease> = []) {
    this.table = { leases: new Map(before.map((lease) => [lease.id, lease])), adopting: new Map() }
  }

  add(entry: AuditEntry): void {
    if (entry.success) apply(this.table, entry)
  }

  leases(): ReadonlyArray<Lease> {
    return [...this.table.leases.values()]
  }
}

interface Table {
  leases: Map<string, Lease>
  /** Leases being adopted; they take effect with the last entry, since a crash may interrupt the adoption. */
  adopting: Map<string, Lease>
}

const apply = (table: Table, entry: AuditEntry): void => {
  const { adopting, leases } = table
  switch (entry.action) {
    case "lease_acquire":
      return insert(leases, entry)
    case "lease_replace":
    case "lease_expire":
      leases.delete(entry.lease_id ?? "")
      return
    case "lease_revoke":
      if (entry.lease_id !== undefined) leases.delete(entry.lease_id)
      else for (const { id, secretName } of leases.values()) if (secretName === entry.secret_name) leases.delete(id)
      return
    case "killswitch":
      return leases.clear()
    case "leases_adopt":
      return adopting.clear()
    case "lease_adopt":
      return insert(adopting, entry)
    case "leases_adopted":
      table.leases = new Map(adopting)
      return
    case "clock_step":
      for (const lease of leases.values()) leases.set(lease.id, shiftExpiry(lease, entry.shift_ms ?? 0))
      return
  }
}

/** Ignores an entry that is not complete, such as those of the predecessor. */
const insert = (leases: Map<string, Lease>, entry: AuditEntry): void => {
  const lease = Option.all({
    id: Option.fromUndefinedOr(entry.lease_id),
    secretName: Option.fromUndefinedOr(entry.secret_name),
    clientId: Option.fromUndefinedOr(entry.client_id),
    createdAt: parseTimestamp(entry.created_at ?? entry.timestamp),
    expiresAt: Option.flatMap(Option.fromUndefinedOr(entry.expires_at), parseTimestamp)
  })
  if (Option.isSome(lease)) leases.set(lease.value.id, lease.value)
}
