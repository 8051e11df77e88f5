/**
 * Recovers the active leases at a start, from leases.json, its side file and the log.
 *
 * The log is the truth. Usually its entries after the checkpoint are replayed, else all that
 * are kept. leases.json counts without the side file only if the predecessor wrote last; of
 * its leases, those are adopted that an entry issued. What is adopted or ignored is logged and recorded.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { counted } from "../../domain/counted.ts"
import { isChained } from "../../domain/AuditChain.ts"
import { type AuditEntry, isAdoptionEntry, isStartEntry } from "../../domain/AuditEntry.ts"
import { adoptFacts } from "../../domain/leaseFacts.ts"
import type { Lease } from "../../domain/Lease.ts"
import { bindingsPath, type CheckpointBinding, decodeBindings, encodeBindings } from "../../domain/leaseFiles.ts"
import type { PredecessorPart } from "../../domain/PredecessorPart.ts"
import { replay } from "../../domain/replay.ts"
import { parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import type { AuditPosition } from "../audit/AuditPosition.ts"
import type { Predecessor } from "../audit/auditStart.ts"
import { type FileError, replaceFile } from "../files/durableFile.ts"
import { readOrSetAside } from "../files/setAside.ts"

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
      const entries = since.value.filter(audit.isTrusted)
      return { leases: replay(inFile ?? [], entries), binding: bound, isStale: since.value.length > 0 }
    }
    const from = Option.getOrElse(parseTimestamp(bound.at), () => zeroTimestamp).millis
    const younger = (yield* keptEntries(audit)).filter((entry) => timeOf(entry) >= from)
    return { leases: replay(inFile ?? [], younger), binding: undefined, isStale: true }
  }
  if (inFile !== undefined && audit.predecessor !== undefined) {
    return yield* adopt(audit.predecessor, inFile, hash, bindings)
  }
  const position = yield* audit.position
  const hasNoEntry = position.seq === 0 || audit.predecessor === "whole log"
  if (hasNoEntry && bindings.length === 0 && (inFile ?? []).length === 0) {
    return { leases: [], binding: bindingOf(hash, position), isStale: false }
  }
  const entries = yield* keptEntries(audit)
  if (inFile !== undefined)
    yield* Effect.logWarning("leases.json is not the last checkpoint; the log is replayed instead")
  // Rotation may have dropped the entries that issued the oldest leases, and leases.json may be the last one we wrote.
  const base = bindings.length > 0 ? [] : (inFile ?? []).filter(isOlderThan(entries))
  if (base.length > 0)
    yield* audit.reportAdoption(`${counted(base.length, "lease")} of leases.json from before the log`)
  const leases = replay(base, entries)
  const named = new Set([...leases.map(({ id }) => id), ...entries.filter(isChained).map((entry) => entry.lease_id)])
  const now = yield* Clock.currentTimeMillis
  const ignored = (inFile ?? []).filter(({ expiresAt, id }) => expiresAt.millis > now && !named.has(id))
  yield* reportIgnored(audit, ignored.length)
  return { leases, binding: undefined, isStale: true }
})

/** Reports leases that nothing but leases.json has. */
const reportIgnored = (audit: AuditLog["Service"], count: number) =>
  count === 0
    ? Effect.void
    : audit.report([`leases.json has ${counted(count, "lease")} in no entry that counts; ignored`])

/**
 * Adopts the leases of the predecessor. It started from a leases.json that may have been milliseconds behind our log, so our
 * entries since then are replayed first. All leases are copied into the log; if that fails, the next start does it.
 */
const adopt = Effect.fnUntraced(function* (
  predecessor: Predecessor,
  inFile: ReadonlyArray<Lease>,
  hash: string,
  bindings: ReadonlyArray<CheckpointBinding>
) {
  const audit = yield* AuditLog
  const [older] = bindings
  const since = older === undefined ? Option.none() : yield* audit.since(older)
  const entries = Option.getOrElse(since, () => []).filter(audit.isTrusted)
  const last = entries.findLast((entry) => isChained(entry) && !isStartEntry(entry) && !isAdoptionEntry(entry))
  const ourLastWrite = last === undefined ? zeroTimestamp.millis : timeOf(last)
  const issued = predecessor === "whole log" ? inFile : inFile.flatMap(yield* issuedIn(predecessor))
  const ours = issued.filter(({ createdAt }) => createdAt.millis <= ourLastWrite)
  const theirs = issued.filter(({ createdAt }) => createdAt.millis > ourLastWrite)
  const leases = [...replay(ours, entries), ...theirs]
  const before = bindingOf(hash, yield* audit.position)
  const copied = yield* Effect.exit(audit.append(adoptFacts(leases)))
  yield* audit.reportAdoption(`${counted(leases.length, "lease")} of leases.json, which the predecessor wrote`)
  yield* reportIgnored(audit, inFile.length - issued.length)
  return { leases, binding: Exit.isSuccess(copied) ? before : undefined, isStale: true }
})

/** Returns a function that returns a lease as the log has it; none if no entry issued it. */
const issuedIn = Effect.fnUntraced(function* ({ acquired }: PredecessorPart) {
  const entries = yield* keptEntries(yield* AuditLog)
  const isTooOld = isOlderThan(entries)
  const known = new Map<string, AuditEntry>()
  for (const entry of entries) {
    if (entry.expires_at !== undefined && entry.lease_id !== undefined) known.set(entry.lease_id, entry)
  }
  return (lease: Lease): ReadonlyArray<Lease> => {
    const theirs = acquired.get(lease.id)
    if (theirs !== undefined) return isSamePair(theirs, lease) ? [lease] : []
    const ours = known.get(lease.id)
    if (ours === undefined) return isTooOld(lease) ? [lease] : []
    if (!isSamePair(ours, lease)) return []
    const expiresAt = expiryOf(ours)
    return [expiresAt.millis < lease.expiresAt.millis ? { ...lease, expiresAt } : lease]
  }
})

const isSamePair = ({ client_id, secret_name }: AuditEntry, { clientId, secretName }: Lease): boolean =>
  (client_id ?? clientId) === clientId && (secret_name ?? secretName) === secretName

const expiryOf = ({ expires_at = "" }: AuditEntry) => Option.getOrElse(parseTimestamp(expires_at), () => zeroTimestamp)

/** Returns whether a lease may have been issued by an entry that rotation has dropped. */
const isOlderThan = (entries: ReadonlyArray<AuditEntry>) => {
  const first = entries.find(isChained)
  return ({ createdAt }: Lease): boolean => first !== undefined && first.seq > 1 && createdAt.millis <= timeOf(first)
}

const keptEntries = (audit: AuditLog["Service"]) =>
  Effect.map(audit.tail(maxReplayedEntries), (entries) => entries.filter(audit.isTrusted))

const timeOf = (entry: AuditEntry): number =>
  Option.getOrElse(parseTimestamp(entry.timestamp), () => zeroTimestamp).millis

export const absentFile = "absent"

export const readBindings = (leasesPath: string): Effect.Effect<ReadonlyArray<CheckpointBinding>, FileError> =>
  Effect.map(readOrSetAside(bindingsPath(leasesPath)), ({ contents }) =>
    contents === undefined ? [] : decodeBindings(contents.toString("utf8"))
  )

export const writeBindings = (leasesPath: string, checkpoints: ReadonlyArray<CheckpointBinding>, check: () => void) =>
  replaceFile(bindingsPath(leasesPath), [Buffer.from(encodeBindings(checkpoints), "utf8")], { check, isRebuilt: true })

export const bindingOf = (leases: string, { at, line, seq }: AuditPosition): CheckpointBinding => ({
  leases,
  seq,
  line,
  at
})
