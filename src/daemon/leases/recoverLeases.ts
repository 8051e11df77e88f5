/**
 * Recovers the active leases at a start, from leases.json, its side file and the log.
 *
 * Usually the entries after the checkpoint are replayed. If the log was moved or truncated,
 * its younger entries are. If leases.json is missing, unreadable or outdated, the whole log
 * is. If the predecessor wrote last, its leases.json counts and is copied into the log.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isChained } from "../../domain/AuditChain.ts"
import { adoptFacts, type AuditEntry, isStartEntry } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import { replay } from "../../domain/replay.ts"
import { parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog, type AuditLogError, type AuditPosition } from "../audit/AuditLog.ts"
import { type FileError, readIfPresent, replaceFile } from "../files/durableFile.ts"

/** Entries to replay without a binding: more than are written during the life of a lease. */
const maxReplayedEntries = 200_000

/** What a start finds on disk: leases.json, its hash, its binding, and all bindings of the side file. */
interface StoredLeases {
  readonly inFile: ReadonlyArray<Lease> | undefined
  readonly hash: string
  readonly bound: CheckpointBinding | undefined
  readonly bindings: ReadonlyArray<CheckpointBinding>
}

interface RecoveredLeases {
  readonly leases: ReadonlyArray<Lease>
  /** How much of the log leases.json includes; undefined if unknown. */
  readonly binding: CheckpointBinding | undefined
  /** Whether leases.json must be written. */
  readonly isStale: boolean
}

export const recoverLeases = Effect.fnUntraced(function* ({
  bound,
  hash,
  inFile,
  bindings
}: StoredLeases): Effect.fn.Return<RecoveredLeases, AuditLogError, AuditLog> {
  const audit = yield* AuditLog
  if (bound !== undefined) {
    const since = yield* audit.since(bound)
    if (Option.isSome(since)) {
      return { leases: replay(inFile ?? [], since.value), binding: bound, isStale: since.value.length > 0 }
    }
    const from = Option.getOrElse(parseTimestamp(bound.at), () => zeroTimestamp).millis
    const younger = (yield* audit.tail(maxReplayedEntries)).filter((entry) => timeOf(entry) >= from)
    return { leases: replay(inFile ?? [], younger), binding: undefined, isStale: true }
  }
  if (inFile !== undefined && !audit.isLastWriter) return yield* adopt(inFile, hash, bindings)
  if (audit.isLastWriter || bindings.length > 0) {
    // Without a side file, leases.json may be the last one we wrote; with one, it is not.
    const base = bindings.length === 0 ? (inFile ?? []) : []
    return { leases: replay(base, yield* audit.tail(maxReplayedEntries)), binding: undefined, isStale: true }
  }
  return { leases: [], binding: bindingOf(hash, yield* audit.position), isStale: false }
})

/**
 * Adopts the leases of the predecessor. It started from a leases.json that may have been milliseconds behind our log, so our
 * entries since then are replayed first. All leases are copied into the log; if that fails, the next start does it.
 */
const adopt = Effect.fnUntraced(function* (
  inFile: ReadonlyArray<Lease>,
  hash: string,
  bindings: ReadonlyArray<CheckpointBinding>
) {
  const audit = yield* AuditLog
  const [older] = bindings
  const since = older === undefined ? Option.none() : yield* audit.since(older)
  const entries = Option.getOrElse(since, () => [])
  const last = entries.findLast((entry) => isChained(entry) && !isStartEntry(entry))
  const ourLastWrite = last === undefined ? zeroTimestamp.millis : timeOf(last)
  const ours = inFile.filter(({ createdAt }) => createdAt.millis <= ourLastWrite)
  const theirs = inFile.filter(({ createdAt }) => createdAt.millis > ourLastWrite)
  const leases = [...replay(ours, entries), ...theirs]
  const before = bindingOf(hash, yield* audit.position)
  const copied = yield* Effect.exit(audit.append(adoptFacts(leases)))
  return { leases, binding: Exit.isSuccess(copied) ? before : undefined, isStale: true }
})

const timeOf = (entry: AuditEntry): number =>
  Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp).millis

/**
 * The last audit entry that a leases.json includes. While leases.json is replaced, its side file describes the current
 * and the next version. A crash between the two writes leaves either version bound to the log.
 */
const CheckpointBinding = Schema.Struct({
  /** SHA-256 of leases.json in hexadecimal, or "absent". */
  leases: Schema.String,
  /** The number of the last audit entry that leases.json includes. */
  seq: Schema.Int,
  /** SHA-256 of that entry's line. */
  line: Schema.String,
  /** The time of that entry; the zero time if there is none. */
  at: Schema.String
})
export type CheckpointBinding = typeof CheckpointBinding.Type

const BindingFile = Schema.Struct({ version: Schema.Literal(2), checkpoints: Schema.Array(CheckpointBinding) })
const decodeBindings = Schema.decodeUnknownOption(Schema.fromJsonString(BindingFile))
export const absentFile = "absent"

const bindingsPath = (leasesPath: string): string => leasesPath.replace(/(\.json)?$/, ".checkpoint.json")

export const readBindings = (leasesPath: string): Effect.Effect<ReadonlyArray<CheckpointBinding>, FileError> =>
  Effect.map(readIfPresent(bindingsPath(leasesPath)), (contents) =>
    contents === undefined ? [] : (Option.getOrUndefined(decodeBindings(contents.toString("utf8")))?.checkpoints ?? [])
  )

export const writeBindings = (leasesPath: string, checkpoints: ReadonlyArray<CheckpointBinding>, check: () => void) =>
  replaceFile(bindingsPath(leasesPath), [Buffer.from(`${JSON.stringify({ version: 2, checkpoints })}\n`, "utf8")], {
    check
  })

export const bindingOf = (leases: string, { at, line, seq }: AuditPosition): CheckpointBinding => ({
  leases,
  seq,
  line,
  at
})
