/**
 * The audit log: what happened, in order, on the disk before anyone hears of it.
 *
 * `append` is durable when it returns; when it fails, nothing of it is in the log.
 * Appends are written in the order they were asked for, all that wait with one
 * flush, each entry chained to the one before (`AuditChain`). A file that has grown to its limit
 * becomes an archive; the chain and every way of reading go on through it. The log
 * alone tells which leases are active, so a position in it marks how far a
 * checkpoint of the leases reaches.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { genesis, isChained, chainFacts, sha256 } from "../../domain/AuditChain.ts"
import type { AuditEntry, AuditFact } from "../../domain/AuditEntry.ts"
import { auditDamagedFact, fileRepairedFact, decodeEntry, encodeEntry } from "../../domain/AuditEntry.ts"
import { defaultAuditRotation } from "../../domain/Config.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { fromMillis, zeroTimestamp } from "../../domain/Timestamp.ts"
import * as metrics from "../../otel/metrics.ts"
import { openAuditHead, readAuditHead } from "./auditHead.ts"
import { auditStart, firstChained } from "./auditStart.ts"
import { FileError } from "../files/durableFile.ts"
import type { FileChange } from "./LogFile.ts"
import * as LogFile from "./LogFile.ts"
import type { TornTail } from "./tornTail.ts"

/** The log could not be read or written. */
export class AuditLogError extends Schema.TaggedError<AuditLogError>()("AuditLogError", {
  operation: Schema.Literals(["append", "read"]),
  cause: FileError
}) {
  override get message() {
    return this.operation === "append"
      ? `nothing was changed, because the audit log is not writable: ${this.cause.message}`
      : `failed to read audit log: ${this.cause.message}`
  }
}

/** A place between two entries. */
export interface AuditPosition {
  /** The number of the entry before it; 0 at the beginning. */
  readonly seq: number
  /** SHA-256 of that entry's line, with its line feed. It ties the position to this log. */
  readonly line: string
  /** The time of that entry. */
  readonly at: string
  /** Changes when somebody else moves the log away or cuts it short while the daemon runs. */
  readonly generation: number
}

/** How the log is doing. */
export interface AuditDiagnostics {
  /** The number of the last entry. */
  readonly seq: number
  /** Bytes of the file that is written now. */
  readonly size: number
  readonly archives: number
  /** Why the last append failed; undefined if it did not. */
  readonly failure: string | undefined
}

export class AuditLog extends Context.Service<
  AuditLog,
  {
    /** Writes the facts, stamped with the present; gives a position behind them. Cannot be interrupted. */
    readonly append: (facts: ReadonlyArray<AuditFact>) => Effect.Effect<AuditPosition, AuditLogError>
    /** The last `count` entries, or those in about `length` characters, oldest first. Lines that are not entries are passed over. */
    readonly tail: (count: number, length?: number) => Effect.Effect<ReadonlyArray<AuditEntry>, AuditLogError>
    /** Gives the lines from the last one backwards, entries or not, for as long as `take` says true. */
    readonly readBackwards: (take: (line: string) => boolean) => Effect.Effect<void, AuditLogError>
    /** The entries behind a position, whoever wrote them, oldest first; none if this log does not have that position. */
    readonly since: (
      position: Pick<AuditPosition, "seq" | "line">
    ) => Effect.Effect<Option.Option<ReadonlyArray<AuditEntry>>, AuditLogError>
    /** The position behind the last entry. */
    readonly position: Effect.Effect<AuditPosition>
    /** Whether the last entry that was found at the start is chained, so that no other program ran since it was written. */
    readonly isLastWriter: boolean
    /** When the last entry that was found at the start was written; undefined if there was none. */
    readonly lastEntryTime: Timestamp | undefined
    readonly diagnostics: Effect.Effect<AuditDiagnostics>
    /** Waits until an append fails after one that did not; gives why. */
    readonly nextFailure: Effect.Effect<string>
    /** Says that nobody needs the entries up to this number to know the leases, so rotation may drop them. */
    readonly release: (seq: number) => Effect.Effect<void>
    /** Looks where the file of its name is now, and goes on there. */
    readonly reopen: Effect.Effect<void, AuditLogError>
  }
>()("agent-secrets/AuditLog") {
  /** The log in a file. A torn last line is mended; that and all else that is found wrong are the first new entries. */
  static readonly layer = (path: string, rotation = defaultAuditRotation) =>
    Layer.effect(
      AuditLog,
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { log, torn } = yield* LogFile.openLog(path, (line) => Option.isSome(decodeEntry(line)), now)
        const start = yield* auditStart(log, yield* readAuditHead(path))
        const writeHead = yield* openAuditHead(path)
        const one = yield* Semaphore.make(1)
        let { first, head } = start
        let last = start.last ?? { seq: 0, line: genesis.hash, timestamp: zeroTimestamp.text }
        let released = 0
        let rotates = true
        /** What was found out about the file and is not written yet. */
        let untold: ReadonlyArray<AuditFact> = []
        const waiting: Array<Waiting> = []
        let failure: string | undefined
        const newFailures = yield* Queue.sliding<string>(1)

        const positionNow = (): AuditPosition => ({
          seq: last.seq,
          line: last.line,
          at: last.timestamp,
          generation: log.generation()
        })

        /** Whether the oldest archive may go: when no start needs it any more. */
        const mayGo = (left: ReadonlyArray<string>): boolean => {
          const oldest = firstChained(left)?.seq ?? head.seq + 1
          if (oldest - 1 > released) return false
          first = Math.max(first, oldest)
          // Before the file goes: or a crash in between would look as if somebody had taken it.
          writeHead({ seq: last.seq, hash: last.line, first })
          return true
        }

        const rotateIfFull = Effect.fnUntraced(function* (more: number) {
          // The first entry of the chain seals what stands before it in its file, so it stays with that.
          if (head.seq === 0 || log.size() === 0 || log.size() + more <= rotation.maxSize) return
          const failure = yield* Effect.flip(log.rotate(rotation.maxFiles, mayGo)).pipe(
            Effect.orElseSucceed(() => undefined)
          )
          if (failure !== undefined && rotates) yield* Effect.logWarning(`${failure.message}; the audit log grows on`)
          rotates = failure === undefined
        })

        const write = Effect.fnUntraced(function* (given: ReadonlyArray<AuditFact>) {
          untold = [...untold, ...(yield* tellOfFate(yield* log.follow))]
          const facts = [...untold, ...given]
          if (facts.length === 0) return
          const at = fromMillis(yield* Clock.currentTimeMillis)
          const { head: next, text } = chainFacts(facts, at, head)
          yield* rotateIfFull(text.length)
          const [took] = yield* Effect.timed(Effect.tapError(log.append(text), () => metrics.countFlushFailure))
          yield* metrics.recordFlush(facts.length, took)
          untold = []
          head = next
          last = { seq: next.seq, line: next.hash, timestamp: at.text }
          writeHead({ seq: next.seq, hash: next.hash, first })
        })

        /** Writes all that wait, and tells each of them how it went. */
        const writeWaiting = Effect.gen(function* () {
          const group = waiting.splice(0)
          const exit = yield* Effect.exit(Effect.mapError(write(group.flatMap(({ facts }) => facts)), appendFailed))
          const before = failure
          failure = Exit.match(exit, { onFailure: (cause) => messageOf(cause), onSuccess: () => undefined })
          if (before === undefined && failure !== undefined) Queue.offerUnsafe(newFailures, failure)
          for (const one of group) one.written = Exit.map(exit, positionNow)
        })

        const append = (facts: ReadonlyArray<AuditFact>) =>
          Effect.suspend(() => {
            const mine: Waiting = { facts, written: undefined }
            waiting.push(mine)
            const mineWritten = Effect.suspend(() => mine.written ?? Effect.die("an append was passed over"))
            // Whoever comes first writes for all; the others find it done.
            const inTurn = Effect.suspend(() => (mine.written === undefined ? writeWaiting : Effect.void))
            return Effect.andThen(Semaphore.withPermit(one)(inTurn), mineWritten)
          }).pipe(Effect.uninterruptible)

        const tail = Effect.fn("AuditLog.tail")(function* (count: number, length = Number.POSITIVE_INFINITY) {
          const entries: Array<AuditEntry> = []
          let read = 0
          if (count > 0) {
            yield* log.readBackwards((line) => {
              const entry = decodeEntry(line)
              read += line.length
              if (Option.isSome(entry)) entries.push(entry.value)
              return entries.length < count && read < length
            })
          }
          return entries.toReversed()
        }, Effect.mapError(readFailed))

        const since = Effect.fn("AuditLog.since")(function* (position: Pick<AuditPosition, "seq" | "line">) {
          const entries: Array<AuditEntry> = []
          let isThere = position.seq === 0
          yield* log.readBackwards((line) => {
            const entry = Option.getOrUndefined(decodeEntry(line))
            if (entry === undefined) return true
            const isBehind = !isChained(entry) || entry.seq > position.seq
            if (isBehind) entries.push(entry)
            else isThere = entry.seq === position.seq && sha256(`${line}\n`) === position.line
            return isBehind
          })
          return isThere ? Option.some(entries.toReversed()) : Option.none()
        }, Effect.mapError(readFailed))

        const found = [...tornFacts(torn), ...(start.damage === undefined ? [] : [auditDamagedFact(start.damage)])]
        for (const { details } of found) yield* Effect.logWarning(`audit log: ${details}`)
        yield* Effect.ignore(append(found))
        return AuditLog.of({
          append,
          tail,
          readBackwards: (take) => Effect.mapError(log.readBackwards(take), readFailed),
          since,
          position: Effect.sync(positionNow),
          isLastWriter: start.isLastWriter,
          lastEntryTime: start.lastEntryTime,
          diagnostics: Effect.sync(() => ({
            seq: last.seq,
            size: log.size(),
            archives: log.files().length - 1,
            failure
          })),
          nextFailure: Queue.take(newFailures),
          release: (seq) => Effect.sync(() => void (released = Math.max(released, seq))),
          reopen: Effect.asVoid(append([]))
        })
      })
    )

  /** The log in memory, for tests; it is not chained. */
  static readonly layerMemory = Layer.sync(AuditLog, () => {
    const lines: Array<string> = []
    const lineAt = (seq: number) => sha256(lines[seq - 1] ?? "")
    const position = Effect.sync(() => ({
      seq: lines.length,
      line: lineAt(lines.length),
      at: zeroTimestamp.text,
      generation: 0
    }))
    const read = (from: number) => lines.slice(from).flatMap((line) => Option.toArray(decodeEntry(line)))
    return AuditLog.of({
      append: (facts) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          for (const fact of facts) lines.push(encodeEntry(fact, fromMillis(now)))
          return position
        }),
      tail: (count) => Effect.sync(() => (count > 0 ? read(-count) : [])),
      readBackwards: (take) => Effect.sync(() => void lines.toReversed().every((line) => take(line.trimEnd()))),
      since: ({ line, seq }) =>
        Effect.sync(() => (seq <= lines.length && lineAt(seq) === line ? Option.some(read(seq)) : Option.none())),
      position,
      isLastWriter: true,
      lastEntryTime: undefined,
      diagnostics: Effect.sync(() => ({ seq: lines.length, size: 0, archives: 0, failure: undefined })),
      nextFailure: Effect.never,
      release: () => Effect.void,
      reopen: Effect.void
    })
  })
}

/** Facts on their way into the log, and what became of them. */
interface Waiting {
  readonly facts: ReadonlyArray<AuditFact>
  written: Exit.Exit<AuditPosition, AuditLogError> | undefined
}

const messageOf = (cause: Cause.Cause<AuditLogError>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => "it broke down",
    onSome: (error) => error.cause.message
  })

const appendFailed = (cause: FileError) => new AuditLogError({ operation: "append", cause })
const readFailed = (cause: FileError) => new AuditLogError({ operation: "read", cause })

const tornFacts = (torn: TornTail | undefined): ReadonlyArray<AuditFact> => {
  if (torn === undefined) return []
  const cutOff = torn.savedAs === undefined ? "cut off, and there was no room to keep it" : `saved as ${torn.savedAs}`
  const what = torn.repair === "completed" ? "a line feed was missing" : cutOff
  return [fileRepairedFact(`the last line of the audit log was torn after ${torn.bytes} bytes: ${what}`)]
}

/** What somebody did to the file under the daemon is told in the log and to whoever reads the daemon's own. */
const tellOfFate = Effect.fnUntraced(function* (fate: FileChange) {
  const damage = {
    Same: () => undefined,
    Moved: () => "it was moved away or removed while the daemon ran; it goes on in a new file",
    Shorter: (bytes: number) => `its last ${bytes} bytes were cut off by somebody else while the daemon ran`,
    Longer: (bytes: number) => `somebody else wrote ${bytes} bytes into it while the daemon ran`
  }[fate._tag]("bytes" in fate ? fate.bytes : 0)
  if (damage === undefined) return []
  yield* Effect.logWarning(`audit log: ${damage}`)
  return [auditDamagedFact(damage)]
})
