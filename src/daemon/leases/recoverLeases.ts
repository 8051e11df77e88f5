/**
 * Which leases there are when the daemon starts, from leases.json, its side file and
 * the audit log, whoever wrote them last and however that ended.
 *
 * Where the log is another one by now, moved away or cut short, its entries that are
 * younger than the checkpoint are replayed. Where leases.json is gone, cannot be read
 * or is an older one, the log tells everything. Where the log ends with entries of the
 * predecessor, that wrote leases.json last; it counts, and is copied into the log.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isChained } from "../../domain/AuditChain.ts"
import type { AuditEntry } from "../../domain/AuditEntry.ts"
import { isStartEntry, adoptFacts } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import { replay } from "../../domain/replay.ts"
import { parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import type { AuditLogError } from "../audit/AuditLog.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { type CheckpointBinding, bindingOf } from "./checkpointBindings.ts"

/** How far back a log is read that is not bound: more entries than any lease outlives. */
const replayedAtMost = 200_000

/** What a start finds: the leases of the file, if any, its hash, and what the side file says. */
export interface StoredLeases {
  readonly inFile: ReadonlyArray<Lease> | undefined
  readonly hash: string
  readonly bound: CheckpointBinding | undefined
  readonly known: ReadonlyArray<CheckpointBinding>
}

/** The leases there are, and how much of the log the file on the disk accounts for; undefined if that cannot be said. */
export interface RecoveredLeases {
  readonly leases: ReadonlyArray<Lease>
  readonly binding: CheckpointBinding | undefined
  /** Whether leases.json has to be written. */
  readonly isStale: boolean
}

export const recoverLeases = Effect.fnUntraced(function* ({
  bound,
  hash,
  inFile,
  known
}: StoredLeases): Effect.fn.Return<RecoveredLeases, AuditLogError, AuditLog> {
  const audit = yield* AuditLog
  if (bound !== undefined) {
    const since = yield* audit.since(bound)
    if (Option.isSome(since)) {
      return { leases: replay(inFile ?? [], since.value), binding: bound, isStale: since.value.length > 0 }
    }
    const from = Option.getOrElse(parseTimestamp(bound.at), () => zeroTimestamp).millis
    const younger = (yield* audit.tail(replayedAtMost)).filter((entry) => timeOf(entry) >= from)
    return { leases: replay(inFile ?? [], younger), binding: undefined, isStale: true }
  }
  if (inFile !== undefined && !audit.isLastWriter) return yield* adopt(inFile, hash, known)
  if (audit.isLastWriter || known.length > 0) {
    // A file that is not the one we wrote last counts only where nothing tells which one that was.
    const base = known.length === 0 ? (inFile ?? []) : []
    return { leases: replay(base, yield* audit.tail(replayedAtMost)), binding: undefined, isStale: true }
  }
  return { leases: [], binding: bindingOf(hash, yield* audit.position), isStale: false }
})

/**
 * Takes over what the predecessor left. It began with a leases.json that may have been some milliseconds behind our log: what
 * we had answered for in between still holds. All of it is copied into the log, which from then on alone tells which leases
 * there are; if that cannot be written, the next start does it.
 */
const adopt = Effect.fnUntraced(function* (
  inFile: ReadonlyArray<Lease>,
  hash: string,
  known: ReadonlyArray<CheckpointBinding>
) {
  const audit = yield* AuditLog
  const [older] = known
  const since = older === undefined ? Option.none() : yield* audit.since(older)
  const entries = Option.getOrElse(since, () => [])
  const last = entries.findLast((entry) => isChained(entry) && !isStartEntry(entry))
  const wrote = last === undefined ? zeroTimestamp.millis : timeOf(last)
  const ours = inFile.filter(({ createdAt }) => createdAt.millis <= wrote)
  const theirs = inFile.filter(({ createdAt }) => createdAt.millis > wrote)
  const leases = [...replay(ours, entries), ...theirs]
  const before = bindingOf(hash, yield* audit.position)
  const copied = yield* Effect.exit(audit.append(adoptFacts(leases)))
  return { leases, binding: Exit.isSuccess(copied) ? before : undefined, isStale: true }
})

const timeOf = (entry: AuditEntry): number =>
  Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp).millis
