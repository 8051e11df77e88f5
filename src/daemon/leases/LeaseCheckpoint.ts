/**
 * leases.json: a checkpoint of the leases; the audit log is the source of truth.
 *
 * It is written shortly after changes and at an orderly stop. A side file binds it to a
 * position in the audit log. A start replays the entries after that (`recoverLeases`).
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { createHash, type Hash } from "node:crypto"
import { counted } from "../../domain/counted.ts"
import { sha256 } from "../../domain/AuditChain.ts"
import { fileRepairedFact } from "../../domain/daemonFacts.ts"
import { stringify } from "../../domain/goText.ts"
import { type Lease, toRow } from "../../domain/Lease.ts"
import { type CheckpointBinding, decodeLeases } from "../../domain/leaseFiles.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import type { AuditPosition } from "../audit/AuditPosition.ts"
import { type FileError, replaceFile } from "../files/durableFile.ts"
import { pinFile } from "../files/pinFile.ts"
import { damagedName, readOrSetAside } from "../files/setAside.ts"
import { absentFile, bindingOf, readBindings, recoverLeases, writeBindings } from "./recoverLeases.ts"

/** The leases at a position of the audit log. */
export interface LeaseSnapshot {
  readonly leases: ReadonlyArray<Lease>
  readonly position: AuditPosition
  /** Grows with each change, so that an older snapshot never replaces a newer one. */
  readonly sequence: number
}

/** The leases that the start recovered, and how to write the next checkpoint. */
export interface LeaseCheckpoint {
  readonly leases: ReadonlyArray<Lease>
  /** The number of invalid rows; 1 if the whole file is unreadable. */
  readonly unreadable: number
  /** Whether the log has changes that leases.json lacks, so that a checkpoint is due. */
  readonly isStale: boolean
  /** Writes a checkpoint; later starts find this one or a newer one. */
  readonly write: (snapshot: LeaseSnapshot) => Effect.Effect<void, FileError>
  /** Reduces the side file to the binding of the current leases.json, at an orderly stop. */
  readonly confirm: Effect.Effect<void, FileError>
}

/** Rows that are encoded at once; other requests run between two chunks. */
const rowsPerChunk = 200

/** Recovers the leases from leases.json and the audit log, and returns them with the writer of checkpoints. */
export const openCheckpoint = Effect.fn("LeaseCheckpoint.open")(function* (
  configuredPath: string
): Effect.fn.Return<LeaseCheckpoint, FileError | AuditLogError, AuditLog | Scope.Scope> {
  const file = yield* pinFile(configuredPath)
  const leasesPath = file.path
  const audit = yield* AuditLog
  const { contents, damage } = yield* readOrSetAside(leasesPath)
  if (damage !== undefined) yield* Effect.ignore(audit.append([fileRepairedFact(damage)]))
  const { leases: inFile, unreadable } = yield* readLeases(leasesPath, contents)
  const bindings = yield* readBindings(leasesPath)
  const hash = contents === undefined || inFile === undefined ? absentFile : sha256(contents)
  const bound = bindings.findLast(({ leases }) => leases === hash)
  const { binding, isStale, leases } = yield* recoverLeases({ inFile, hash, bound, bindings })

  /** The bindings of the leases.json on disk; they stay in the side file until it is replaced. */
  let current: ReadonlyArray<CheckpointBinding> = binding === undefined ? bindings.slice(-1) : [binding]
  let written = 0
  const writeLock = yield* Semaphore.make(1)
  if (binding !== undefined && binding !== bound) {
    // A full disk must not prevent a start.
    yield* writeBindings(leasesPath, current, file.checkSync).pipe(
      Effect.catch((error) => Effect.logWarning(error.message))
    )
  }
  if (binding !== undefined) yield* audit.release(binding.seq)
  return {
    leases,
    unreadable: damage === undefined ? unreadable : 1,
    isStale,
    write: Effect.fn("LeaseCheckpoint.write")(
      function* ({ leases, position, sequence }: LeaseSnapshot) {
        if (sequence < written) return
        yield* file.check
        const digest = createHash("sha256")
        let next = current
        const bind = Effect.suspend(() => {
          next = [bindingOf(digest.digest("hex"), position)]
          return writeBindings(leasesPath, [...current, ...next], file.checkSync)
        })
        const options = { before: bind, check: file.checkSync, isRebuilt: true }
        yield* replaceFile(leasesPath, encodeRows(leases, digest), options)
        current = next
        written = sequence
        yield* audit.release(position.seq)
      },
      Semaphore.withPermit(writeLock),
      Effect.uninterruptible
    ),
    confirm: Effect.suspend(() => writeBindings(leasesPath, current, file.checkSync))
  }
})

/**
 * Reads the leases of the file; undefined if it is missing or unreadable. An unreadable file or row is set aside and
 * reported, and does not prevent a start.
 */
const readLeases = Effect.fnUntraced(function* (leasesPath: string, contents: Buffer | undefined) {
  if (contents === undefined) return { leases: undefined, unreadable: 0 }
  const decoded = Option.getOrUndefined(decodeLeases(contents.toString("utf8")))
  if (decoded === undefined) yield* setAside(leasesPath, "leases.json was unreadable", contents)
  else if (decoded.unreadable > 0)
    yield* setAside(
      leasesPath,
      `${counted(decoded.unreadable, "lease")} in leases.json ${decoded.unreadable === 1 ? "was" : "were"} unreadable`,
      contents
    )
  return decoded ?? { leases: undefined, unreadable: 1 }
})

/** Keeps a copy of an unreadable file, and records it; a failure of that is only logged. */
const setAside = Effect.fnUntraced(function* (leasesPath: string, problem: string, contents: Buffer) {
  const aside = yield* damagedName(leasesPath)
  const details = `${problem}; a copy is kept as ${aside}`
  yield* Effect.logWarning(details)
  yield* replaceFile(aside, [contents]).pipe(
    Effect.andThen(Effect.flatMap(AuditLog, (audit) => audit.append([fileRepairedFact(details)]))),
    Effect.catch((error) => Effect.logWarning(error.message))
  )
})

/**
 * Encodes leases.json in the predecessor's format, in chunks that also update the hash. Each chunk is written before the
 * next is encoded, because collecting the whole text as garbage would pause all requests.
 */
async function* encodeRows(leases: ReadonlyArray<Lease>, digest: Hash): AsyncGenerator<Uint8Array> {
  const chunk = (text: string): Uint8Array => {
    const bytes = Buffer.from(text, "utf8")
    digest.update(bytes)
    return bytes
  }
  for (let at = 0; at < leases.length; at += rowsPerChunk) {
    const text = stringify(leases.slice(at, at + rowsPerChunk).map(toRow), 2)
    yield chunk((at === 0 ? "[" : ",") + text.slice(1, -2))
  }
  yield chunk(leases.length === 0 ? "null" : "\n]")
}

/** Writes checkpoints forever, soon after a change and at a bounded rate. A failure is logged once and retried. */
export const writeCheckpoints = (
  checkpoint: LeaseCheckpoint,
  changed: Effect.Effect<void>,
  snapshot: Effect.Effect<LeaseSnapshot>
): Effect.Effect<never> => {
  const writeOne = Effect.gen(function* () {
    const taken = yield* snapshot
    yield* checkpoint.write(taken)
    return taken.leases.length
  })
  return Effect.gen(function* () {
    yield* changed
    yield* Effect.sleep(batchDelay)
    const leases = yield* writeOne.pipe(
      Effect.catchCause((cause) =>
        Effect.logWarning(
          `leases.json is out of date: ${reasonOf(cause)}; no lease is lost, the audit log has them`
        ).pipe(
          Effect.andThen(Effect.sleep(retryAfter)),
          Effect.andThen(Effect.retry(Effect.sandbox(writeOne), Schedule.spaced(retryAfter))),
          Effect.orDie,
          Effect.tap(() => Effect.logInfo("leases.json is up to date again"))
        )
      )
    )
    yield* Effect.sleep(Duration.max(minInterval, Duration.times(intervalPerLease, leases)))
  }).pipe(Effect.forever)
}

const reasonOf = (cause: Cause.Cause<FileError>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : "internal error"
}

/** Collects a burst of changes into one checkpoint. */
const batchDelay = Duration.millis(10)
/** Leaves the disk to the audit log, whose flushes every request waits for. */
const minInterval = Duration.millis(100)
/** Soon, because the log keeps its archives until a checkpoint; not so soon that a full disk stays busy. */
const retryAfter = Duration.millis(500)
/** Keeps writing a small part of the work, for any number of leases. */
const intervalPerLease = Duration.micros(100n)
