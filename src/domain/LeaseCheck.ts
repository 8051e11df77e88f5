/**
 * Compares leases.json with the audit log, which is the truth. A leases.json that its side
 * file binds to an entry must have the leases that were active after that entry; one that is
 * bound to none has no effect on a start.
 */
import { counted } from "./counted.ts"
import { type ChainedEntry, sha256 } from "./AuditChain.ts"
import { isAdoptionEntry } from "./AuditEntry.ts"
import type { Lease } from "./Lease.ts"
import { type CheckpointBinding, decodeLeases } from "./leaseFiles.ts"
import * as Option from "effect/Option"
import { LeaseReplay } from "./replay.ts"
import { parseTimestamp } from "./Timestamp.ts"

/** What a daemon that took its leases from the file has to change. */
export interface LeaseCorrections {
  /** The ids of leases that the log does not have. */
  readonly unknown: ReadonlyArray<string>
  /** Leases that the log has, and the file had not, or had otherwise. */
  readonly known: ReadonlyArray<Lease>
}

export class LeaseCheck {
  private readonly inFile: ReadonlyMap<string, Lease>
  private readonly bound: CheckpointBinding | undefined
  private readonly now: number
  private readonly replayed = new LeaseReplay()
  /** The time of the first entry that is kept, if older ones were dropped. */
  private since = Number.NEGATIVE_INFINITY
  private isFirst = true
  private readonly unknown = new Set<string>()
  private readonly missing = new Set<string>()

  /** `now` is in milliseconds. */
  constructor(contents: Uint8Array | undefined, bindings: ReadonlyArray<CheckpointBinding>, now: number) {
    this.now = now
    const hash = contents === undefined ? "absent" : sha256(contents)
    this.bound = bindings.findLast(({ leases }) => leases === hash)
    const decoded = Option.getOrUndefined(decodeLeases(Buffer.from(contents ?? []).toString("utf8")))
    this.inFile = new Map((decoded?.leases ?? []).map((lease) => [lease.id, lease]))
  }

  /** Adds the next entry of the log. */
  add(entry: ChainedEntry): void {
    const { bound } = this
    if (bound === undefined) return
    if (this.isFirst && entry.seq > 1) this.since = timeOf(entry)
    this.isFirst = false
    // A file of the predecessor is bound to the entry before its leases are copied into the log.
    if (entry.seq === bound.seq + 1 && isAdoptionEntry(entry)) {
      this.unknown.clear()
      this.missing.clear()
    }
    this.replayed.add(entry)
    if (entry.seq === bound.seq) this.compare()
  }

  /** Returns what is wrong with leases.json; undefined if nothing is. */
  end(): string | undefined {
    const wrong = [
      this.unknown.size === 0 ? "" : `${counted(this.unknown.size, "lease")} that the log does not have`,
      this.missing.size === 0 ? "" : `not ${counted(this.missing.size, "lease")} that the log has`
    ].filter((part) => part !== "")
    return wrong.length === 0 ? undefined : `leases.json has ${wrong.join(" and ")}`
  }

  /** Returns how the leases are by the whole log. */
  corrections(): LeaseCorrections {
    const active = new Map(this.replayed.leases().map((lease) => [lease.id, lease]))
    const wrong = [...this.unknown, ...this.missing]
    return { unknown: wrong.filter((id) => !active.has(id)), known: wrong.flatMap((id) => active.get(id) ?? []) }
  }

  private compare(): void {
    const active = new Map(this.replayed.leases().map((lease) => [lease.id, lease]))
    for (const lease of this.inFile.values()) {
      const known = active.get(lease.id)
      if (known === undefined ? lease.createdAt.millis > this.since : !isSameGrant(known, lease)) {
        this.unknown.add(lease.id)
      }
    }
    for (const { expiresAt, id } of active.values()) {
      if (expiresAt.millis > this.now && !this.inFile.has(id)) this.missing.add(id)
    }
  }
}

/** Returns whether two leases with the same id are for the same secret, client and time. */
export const isSameGrant = (a: Lease, b: Lease): boolean =>
  a.secretName === b.secretName && a.clientId === b.clientId && a.expiresAt.millis === b.expiresAt.millis

const timeOf = ({ timestamp }: ChainedEntry): number =>
  Option.getOrUndefined(parseTimestamp(timestamp))?.millis ?? Number.POSITIVE_INFINITY
