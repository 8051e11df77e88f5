/**
 * leases.json: a checkpoint of the leases, beside the audit log that is the truth.
 *
 * It is written a little after the changes, off the way of any request, and at an
 * orderly stop. A side file binds it to the place in the audit log up to which it
 * reaches (`leaseBindings`); at a start the entries behind that place are replayed
 * (`leasesAtStart`).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { createHash, type Hash } from "node:crypto"
import { dirname } from "node:path"
import { sha256 } from "../../domain/AuditChain.ts"
import { fileRepairedFact } from "../../domain/AuditEntry.ts"
import { stringify } from "../../domain/goText.ts"
import type { Lease } from "../../domain/Lease.ts"
import { fromRow, LeaseRow, toRow } from "../../domain/Lease.ts"
import type { AuditLogError, AuditPosition } from "../audit/AuditLog.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { type FileError, readIfPresent, replaceFile } from "../files/durableFile.ts"
import { absentFile, type CheckpointBinding, bindingOf, readBindings, writeBindings } from "./checkpointBindings.ts"
import { recoverLeases } from "./recoverLeases.ts"
import { pinDirectory } from "../files/pinDirectory.ts"

/** Leases as they were when the audit log had reached a position. */
export interface LeaseSnapshot {
  readonly leases: ReadonlyArray<Lease>
  readonly position: AuditPosition
  /** Grows with each change, so that an older one is never written over a newer one. */
  readonly sequence: number
}

/** What was found at start, and the way to write the next one. */
export interface LeaseCheckpoint {
  readonly leases: ReadonlyArray<Lease>
  /** Rows of the file that are no leases; 1 if the file could not be read at all. */
  readonly unreadable: number
  /** Whether the log told of more than the file did, so that a checkpoint is due. */
  readonly isStale: boolean
  /** Writes a checkpoint; every later start finds this one or a newer one. */
  readonly write: (snapshot: LeaseSnapshot) => Effect.Effect<void, FileError>
  /** Says that the leases.json of the last checkpoint is the one on the disk: at an orderly end, for whoever comes next. */
  readonly confirm: Effect.Effect<void, FileError>
}

const decodeRows = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.NullOr(Schema.Array(Schema.Unknown))))
const decodeRow = Schema.decodeUnknownOption(LeaseRow)

/** Rows that are turned into text and written between two looks at the waiting requests: well under a millisecond of work. */
const rowsAtOnce = 200
export const openCheckpoint = Effect.fn("LeaseCheckpoint.open")(function* (
  leasesPath: string
): Effect.fn.Return<LeaseCheckpoint, FileError | AuditLogError, AuditLog | Scope.Scope> {
  const directory = yield* pinDirectory(dirname(leasesPath))
  const audit = yield* AuditLog
  const contents = yield* readIfPresent(leasesPath)
  const { leases: inFile, unreadable } = yield* readLeases(leasesPath, contents)
  const known = yield* readBindings(leasesPath)
  const found = contents === undefined || inFile === undefined ? absentFile : sha256(contents)
  const bound = known.findLast((one) => one.leases === found)
  const { binding: placed, isStale, leases } = yield* recoverLeases({ inFile, hash: found, bound, known })

  /** What the side file says of the leases.json that is on the disk; it stays there until another one is. */
  let current: ReadonlyArray<CheckpointBinding> = placed === undefined ? known.slice(-1) : [placed]
  let written = 0
  const one = yield* Semaphore.make(1)
  if (placed !== undefined && placed !== bound) {
    // A full disk is no reason not to start.
    yield* writeBindings(leasesPath, current, directory.checkSync).pipe(
      Effect.catch((fault) => Effect.logWarning(fault.message))
    )
  }
  if (placed !== undefined) yield* audit.release(placed.seq)
  return {
    leases,
    unreadable,
    isStale: isStale,
    write: Effect.fn("LeaseCheckpoint.write")(
      function* ({ leases, position, sequence }: LeaseSnapshot) {
        if (sequence < written) return
        yield* directory.check
        const hash = createHash("sha256")
        let next = current
        const bind = Effect.suspend(() => {
          next = [bindingOf(hash.digest("hex"), position)]
          return writeBindings(leasesPath, [...current, ...next], directory.checkSync)
        })
        yield* replaceFile(leasesPath, encoded(leases, hash), { before: bind, check: directory.checkSync })
        current = next
        written = sequence
        yield* audit.release(position.seq)
      },
      Semaphore.withPermit(one),
      Effect.uninterruptible
    ),
    confirm: Effect.suspend(() => writeBindings(leasesPath, current, directory.checkSync))
  }
})

/**
 * The leases of the file; undefined where there is none, or none that can be read. A file or a lease that cannot be read is
 * set aside and reported: it records the past and must not end the present.
 */
const readLeases = Effect.fnUntraced(function* (leasesPath: string, contents: Buffer | undefined) {
  if (contents === undefined) return { leases: undefined, unreadable: 0 }
  const rows = decodeRows(contents.toString("utf8"))
  const leases: Array<Lease> = []
  let unreadable = 0
  for (const row of Option.getOrElse(rows, () => null) ?? []) {
    const decoded = decodeRow(row)
    const lease = Option.flatMap(decoded, fromRow)
    if (Option.isNone(lease) || Option.isNone(decoded)) unreadable += 1
    else if (decoded.value.revoked !== true) leases.push(lease.value)
  }
  if (Option.isNone(rows)) yield* setAside(leasesPath, "leases.json was not readable", contents)
  else if (unreadable > 0)
    yield* setAside(leasesPath, `${unreadable} leases in leases.json were not readable`, contents)
  return Option.isNone(rows) ? { leases: undefined, unreadable: 1 } : { leases, unreadable }
})

/** Keeps what could not be read; a full disk, where it cannot be kept, is no reason not to start. */
const setAside = Effect.fnUntraced(function* (leasesPath: string, what: string, contents: Buffer) {
  const aside = `${leasesPath}.damaged-${yield* Clock.currentTimeMillis}`
  const details = `${what}; the file is kept as ${aside}`
  yield* Effect.logWarning(details)
  yield* replaceFile(aside, [contents]).pipe(
    Effect.andThen(Effect.flatMap(AuditLog, (audit) => audit.append([fileRepairedFact(details)]))),
    Effect.catch((fault) => Effect.logWarning(fault.message))
  )
})

/**
 * The text of leases.json in the predecessor's form, in pieces that also go into the hash. Each is written before the next
 * is made: together they are as much as all the leases in memory, and to free them is a pause for everybody.
 */
async function* encoded(leases: ReadonlyArray<Lease>, hash: Hash): AsyncGenerator<Uint8Array> {
  const piece = (text: string): Uint8Array => {
    const bytes = Buffer.from(text, "utf8")
    hash.update(bytes)
    return bytes
  }
  for (let at = 0; at < leases.length; at += rowsAtOnce) {
    const text = stringify(leases.slice(at, at + rowsAtOnce).map(toRow), 2)
    yield piece((at === 0 ? "[" : ",") + text.slice(1, -2))
  }
  yield piece(leases.length === 0 ? "null" : "\n]")
}

/**
 * Writes checkpoints for ever: soon after a change, and not so often that writing them would be what the daemon does.
 * One that fails is tried until it does not; that is told once.
 */
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
    yield* Effect.sleep(gatherFor)
    const leases = yield* writeOne.pipe(
      Effect.catchCause((cause) =>
        Effect.logWarning(`leases.json is not up to date: ${reasonOf(cause)}; the audit log has the leases`).pipe(
          Effect.andThen(Effect.sleep(retryAfter)),
          Effect.andThen(Effect.retry(Effect.sandbox(writeOne), Schedule.spaced(retryAfter))),
          Effect.orDie,
          Effect.tap(() => Effect.logInfo("leases.json is up to date again"))
        )
      )
    )
    yield* Effect.sleep(Duration.max(minRest, Duration.times(restPerLease, leases)))
  }).pipe(Effect.forever)
}

const reasonOf = (cause: Cause.Cause<FileError>): string => {
  const fault = Cause.squash(cause)
  return fault instanceof Error ? fault.message : "it broke down"
}

/** Gathers the requests of one moment, and is over before anybody who looks at the file notices. */
const gatherFor = Duration.millis(10)
/** Leaves the disk to the audit log between two checkpoints: each flushes four times, and everybody waits for the log's flush. */
const minRest = Duration.millis(100)
/** Soon, for the log keeps its archives until there is a checkpoint; and not so soon that a disk that stays full is busy with it. */
const retryAfter = Duration.millis(500)
/** Writing takes some microseconds for a lease; with this rest it stays a small part of the work, however many there are. */
const restPerLease = Duration.micros(100n)
