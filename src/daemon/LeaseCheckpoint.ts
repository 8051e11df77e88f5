/**
 * leases.json: a checkpoint of the leases, beside the audit log that is the truth.
 *
 * It is written a little after the changes, off the way of any request, and at an
 * orderly stop. A side file binds it to the place in the audit log up to which it
 * reaches; at start the entries behind that place are replayed. Where the binding
 * does not hold – the predecessor wrote leases.json, or the log is another one –
 * leases.json alone counts.
 *
 * The side file is written first and names both the leases.json it was and the one
 * that comes, so whichever is on the disk after a crash is bound.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { fileMended } from "../domain/AuditEntry.ts"
import { stringify } from "../domain/goText.ts"
import type { Lease } from "../domain/Lease.ts"
import { fromRow, Row, toRow } from "../domain/Lease.ts"
import { replay } from "../domain/replay.ts"
import type { AuditLogError, AuditPosition } from "./AuditLog.ts"
import { AuditLog } from "./AuditLog.ts"
import { type FileFault, readIfPresent, renameDurably, replaceFile } from "./durableFile.ts"

/** Leases as they were when the audit log had reached a position. */
export interface Snapshot {
  readonly leases: ReadonlyArray<Lease>
  readonly position: AuditPosition
}

const Binding = Schema.Struct({
  /** SHA-256 of leases.json in hexadecimal, or "absent". */
  leases: Schema.String,
  /** Bytes of audit.log that leases.json accounts for. */
  offset: Schema.Int,
  /** SHA-256 of the line that ends at the offset. */
  line: Schema.String
})
type Binding = typeof Binding.Type

const BindingFile = Schema.Struct({ version: Schema.Literal(1), checkpoints: Schema.Array(Binding) })
const decodeBindings = Schema.decodeUnknownOption(Schema.fromJsonString(BindingFile))
const decodeRows = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.NullOr(Schema.Array(Schema.Unknown))))
const decodeRow = Schema.decodeUnknownOption(Row)

/** Rows that are turned into text between two looks at the waiting requests: well under a millisecond of work. */
const rowsAtOnce = 200

/** Writes a checkpoint; every later start finds this one or a newer one. */
export const write = Effect.fn("LeaseCheckpoint.write")(function* (leasesPath: string, snapshot: Snapshot) {
  const hash = createHash("sha256")
  const pieces: Array<Buffer> = []
  for (let at = 0; at < snapshot.leases.length; at += rowsAtOnce) {
    const rows = snapshot.leases.slice(at, at + rowsAtOnce).map(toRow)
    const text = stringify(rows, 2).slice(1, -2)
    const piece = Buffer.from(at === 0 ? `[${text}` : `,${text}`, "utf8")
    hash.update(piece)
    pieces.push(piece)
    yield* Effect.yieldNow
  }
  const end = Buffer.from(pieces.length === 0 ? "null" : "\n]", "utf8")
  hash.update(end)
  pieces.push(end)

  const known = yield* readBindings(leasesPath)
  const next = binding(hash.digest("hex"), snapshot.position)
  yield* writeBindings(leasesPath, [...known.slice(-1), next])
  yield* replaceFile(leasesPath, pieces)
})

/** The leases at start: the checkpoint, and what the audit log says happened after it. */
export const load = Effect.fn("LeaseCheckpoint.load")(function* (
  leasesPath: string
): Effect.fn.Return<ReadonlyArray<Lease>, FileFault | AuditLogError, AuditLog> {
  const audit = yield* AuditLog
  const contents = yield* readIfPresent(leasesPath)
  const leases = yield* readLeases(leasesPath, contents)

  const found = contents === undefined ? "absent" : sha256(contents)
  const bound = (yield* readBindings(leasesPath)).findLast((one) => one.leases === found)
  if (bound !== undefined) {
    const entries = yield* audit.since(bound.offset, (line) => sha256(line) === bound.line)
    if (Option.isSome(entries)) return replay(leases, entries.value)
  }
  // From here on this program is the one that writes: what is on the disk now is where its log begins to count.
  yield* writeBindings(leasesPath, [binding(found, yield* audit.position)])
  return leases
})

/** A lease file or a lease that cannot be read is set aside and reported: it records the past and must not end the present. */
const readLeases = Effect.fnUntraced(function* (leasesPath: string, contents: Buffer | undefined) {
  if (contents === undefined) return []
  const rows = decodeRows(contents.toString("utf8"))
  const leases: Array<Lease> = []
  let unreadable = Option.isNone(rows) ? 1 : 0
  for (const row of Option.getOrElse(rows, () => null) ?? []) {
    const decoded = decodeRow(row)
    const lease = Option.flatMap(decoded, fromRow)
    if (Option.isNone(lease) || Option.isNone(decoded)) unreadable += 1
    else if (decoded.value.revoked !== true) leases.push(lease.value)
  }
  if (unreadable > 0) {
    const aside = `${leasesPath}.damaged-${yield* Clock.currentTimeMillis}`
    yield* Option.isNone(rows) ? renameDurably(leasesPath, aside) : replaceFile(aside, [contents])
    const details = Option.isNone(rows)
      ? `leases.json was not readable and is kept as ${aside}`
      : `${unreadable} leases in leases.json were not readable; the file is kept as ${aside}`
    yield* Effect.logWarning(details)
    yield* Effect.flatMap(AuditLog, (audit) => audit.append([fileMended(details)]))
  }
  return leases
})

/**
 * Writes checkpoints for as long as the scope lasts: soon after a change, and not
 * so often that writing them would be what the daemon does.
 */
export const keepWriting = (
  leasesPath: string,
  changed: Effect.Effect<void>,
  snapshot: Effect.Effect<Snapshot>
): Effect.Effect<never> =>
  Effect.gen(function* () {
    yield* changed
    yield* Effect.sleep(gatherFor)
    const taken = yield* snapshot
    yield* write(leasesPath, taken).pipe(
      Effect.catch((fault) =>
        Effect.andThen(
          Effect.logWarning(`${fault.message}; the audit log has the leases, and this is tried with the next change`),
          Effect.sleep(retryAfter)
        )
      )
    )
    yield* Effect.sleep(Duration.max(leastRest, Duration.times(restPerLease, taken.leases.length)))
  }).pipe(Effect.forever)

/** Gathers the requests of one moment, and is over before anybody who looks at the file notices. */
const gatherFor = Duration.millis(10)
/** Leaves the disk to the audit log between two checkpoints, when there is one change after the other. */
const leastRest = Duration.millis(50)
const retryAfter = Duration.seconds(5)
/** Writing takes some microseconds for a lease; with this rest it stays a small part of the work, however many there are. */
const restPerLease = Duration.micros(100n)

const bindingsPath = (leasesPath: string): string => leasesPath.replace(/(\.json)?$/, ".checkpoint.json")

const readBindings = (leasesPath: string): Effect.Effect<ReadonlyArray<Binding>, FileFault> =>
  Effect.map(readIfPresent(bindingsPath(leasesPath)), (contents) =>
    contents === undefined
      ? []
      : Option.match(decodeBindings(contents.toString("utf8")), {
          onNone: () => [],
          onSome: (file) => file.checkpoints
        })
  )

const writeBindings = (leasesPath: string, checkpoints: ReadonlyArray<Binding>) =>
  replaceFile(bindingsPath(leasesPath), [Buffer.from(`${JSON.stringify({ version: 1, checkpoints })}\n`, "utf8")])

const binding = (leases: string, position: AuditPosition): Binding => ({
  leases,
  offset: position.offset,
  line: sha256(position.line)
})

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")
