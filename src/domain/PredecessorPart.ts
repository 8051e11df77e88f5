/**
 * Lines between ours that the predecessor may have written, as it may run in between at any
 * time. Such a part begins with its `daemon_start` and has only its actions, byte by byte as
 * it encodes them. Anybody can write such lines, so they are accepted and reported.
 */
import * as Option from "effect/Option"
import { type AuditEntry, decodeEntry, encodeEntry } from "./AuditEntry.ts"
import { longEscapes } from "./goText.ts"
import { parseTimestamp } from "./Timestamp.ts"

/** Of all its versions. */
const actions: ReadonlySet<string> = new Set([
  "daemon_start",
  "daemon_stop",
  "daemon_restart",
  "heartbeat_fail",
  "killswitch",
  "lease_acquire",
  "lease_expire",
  "lease_replace",
  "lease_revoke",
  "secret_add",
  "secret_delete",
  "secret_rotate",
  "secret_update"
])

/** Decodes a line as the predecessor writes it, without its line feed; none for any other line. */
export const decodePredecessorEntry = (line: string): Option.Option<AuditEntry> =>
  Option.filter(decodeEntry(line), ({ action, client_id, details, lease_id, secret_name, success, timestamp }) => {
    if (!actions.has(action) || Option.isNone(parseTimestamp(timestamp))) return false
    // Any other member, order or escape makes a difference.
    const members = optional({ secret_name, client_id, lease_id, details })
    const written = encodeEntry({ action, ...members, success }, { millis: 0, text: timestamp })
    return written === `${longEscapes(line)}\n`
  })

const optional = (
  members: Readonly<Record<"secret_name" | "client_id" | "lease_id" | "details", string | undefined>>
) => Object.fromEntries(Object.entries(members).filter(([, text]) => text !== undefined))

export class PredecessorPart {
  lines = 0
  /** The times of the first and the last line. */
  from = ""
  to = ""
  /** The leases that it issued, by id. */
  readonly acquired = new Map<string, AuditEntry>()
  private hasOtherLine = false
  private beginsWithStart = false

  /** Adds the next line, without its line feed. */
  add(line: string): void {
    const entry = this.take(line)
    if (this.lines === 1) this.begin(entry)
    this.to = entry?.timestamp ?? this.to
  }

  /** Adds the line before the first one. */
  addBefore(line: string): void {
    const entry = this.take(line)
    this.begin(entry)
    if (this.lines === 1) this.to = this.from
  }

  /** Whether the predecessor can have written it. */
  get isPlausible(): boolean {
    return this.beginsWithStart && !this.hasOtherLine
  }

  private begin(entry: AuditEntry | undefined): void {
    this.beginsWithStart = entry?.action === "daemon_start" && entry.success
    this.from = entry?.timestamp ?? this.from
  }

  private take(line: string): AuditEntry | undefined {
    this.lines += 1
    const entry = Option.getOrUndefined(decodePredecessorEntry(line))
    if (entry === undefined) this.hasOtherLine = true
    else if (entry.action === "lease_acquire" && entry.success && entry.lease_id !== undefined) {
      this.acquired.set(entry.lease_id, entry)
    }
    return entry
  }
}
