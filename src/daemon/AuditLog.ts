/**
 * The audit log: what happened, in order, on the disk before anyone hears of it.
 *
 * `append` is durable when it returns; when it fails, nothing of it is in the
 * log. Appends are written one after the other, in the order they were asked
 * for. The log alone tells which leases are active, so a position in it marks
 * how far a checkpoint of the leases reaches.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { AuditEntry, AuditFact } from "../domain/AuditEntry.ts"
import { fileMended, fromLine, toLine } from "../domain/AuditEntry.ts"
import { fromMillis } from "../domain/Timestamp.ts"
import type { FileFault } from "./durableFile.ts"
import * as LogFile from "./LogFile.ts"

/** The log could not be read or written. */
export class AuditLogError extends Data.TaggedError("AuditLogError")<{
  readonly operation: "append" | "read"
  readonly cause: FileFault
}> {
  override get message() {
    return this.operation === "append"
      ? `nothing was changed, because the audit log is not writable: ${this.cause.message}`
      : `failed to read audit log: ${this.cause.message}`
  }
}

/** A place between two entries. */
export interface AuditPosition {
  /** Bytes before it. */
  readonly offset: number
  /** The line that ends there, without its line feed; empty at the beginning. It ties the position to this log. */
  readonly line: string
  /** Changes when the log becomes another one while the daemon runs: moved away, or cut short. */
  readonly generation: number
}

export class AuditLog extends Context.Service<
  AuditLog,
  {
    /** Writes the facts, stamped with the present, with one flush; gives the position behind them. */
    readonly append: (facts: ReadonlyArray<AuditFact>) => Effect.Effect<AuditPosition, AuditLogError>
    /** The last `count` entries, oldest first. Lines that are not entries are passed over. */
    readonly tail: (count: number) => Effect.Effect<ReadonlyArray<AuditEntry>, AuditLogError>
    /** The entries behind a position; none if this log does not have that line at that place. */
    readonly since: (
      offset: number,
      isLine: (line: string) => boolean
    ) => Effect.Effect<Option.Option<ReadonlyArray<AuditEntry>>, AuditLogError>
    /** The position behind the last entry. */
    readonly position: Effect.Effect<AuditPosition, AuditLogError>
  }
>()("agent-secrets/AuditLog") {
  /** The log in a file. A torn last line is mended, and the mending is the first new entry. */
  static readonly layer = (path: string) =>
    Layer.effect(
      AuditLog,
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { log, torn } = yield* LogFile.open(path, (line) => Option.isSome(fromLine(line)), now)
        const one = yield* Semaphore.make(1)
        let last: AuditPosition | undefined

        const readLast = Effect.fnUntraced(function* (offset: number) {
          let found = ""
          yield* log.backwards((line) => {
            found = line
            return false
          }, offset)
          return found
        }, Effect.mapError(readFailed))

        const append = Effect.fn("AuditLog.append")(function* (facts: ReadonlyArray<AuditFact>) {
          const at = fromMillis(yield* Clock.currentTimeMillis)
          const lines = facts.map((fact) => toLine(fact, at))
          yield* Effect.mapError(
            log.append(lines.join("")),
            (cause) => new AuditLogError({ operation: "append", cause })
          )
          last = { offset: log.size(), line: lines.at(-1)?.slice(0, -1) ?? "", generation: log.generation() }
          return last
        }, Semaphore.withPermit(one))

        const tail = Effect.fn("AuditLog.tail")(function* (count: number) {
          const entries: Array<AuditEntry> = []
          if (count > 0) {
            yield* log.backwards((line) => {
              const entry = fromLine(line)
              if (Option.isSome(entry)) entries.push(entry.value)
              return entries.length < count
            })
          }
          return entries.toReversed()
        }, Effect.mapError(readFailed))

        const since = Effect.fn("AuditLog.since")(function* (offset: number, isLine: (line: string) => boolean) {
          if (offset > log.size() || !isLine(yield* readLast(offset))) return Option.none()
          const lines = yield* Effect.mapError(log.forwards(offset), readFailed)
          return Option.some(lines.flatMap((line) => Option.toArray(fromLine(line))))
        })

        const position = Effect.gen(function* () {
          const offset = log.size()
          return last ?? { offset, line: yield* readLast(offset), generation: log.generation() }
        })

        if (torn !== undefined) {
          const what = torn.savedAs === undefined ? "a line feed was missing" : `saved as ${torn.savedAs}`
          const details = `the last line of the audit log was torn after ${torn.bytes} bytes: ${what}`
          yield* Effect.logWarning(details)
          yield* Effect.ignore(append([fileMended(details)]))
        }
        return AuditLog.of({ append, tail, since, position })
      })
    )

  /** The log in memory, for tests. */
  static readonly layerMemory = Layer.sync(AuditLog, () => {
    const entries: Array<string> = []
    const position = Effect.sync(() => ({ offset: entries.length, line: entries.at(-1) ?? "", generation: 0 }))
    const read = (from: number, to?: number) =>
      entries.slice(from, to).flatMap((line) => Option.toArray(fromLine(line)))
    return AuditLog.of({
      append: (facts) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          for (const fact of facts) entries.push(toLine(fact, fromMillis(now)).slice(0, -1))
          return position
        }),
      tail: (count) => Effect.sync(() => (count > 0 ? read(-count) : [])),
      since: (offset, isLine) =>
        Effect.sync(() => (isLine(entries[offset - 1] ?? "") ? Option.some(read(offset)) : Option.none())),
      position
    })
  })
}

const readFailed = (cause: FileFault) => new AuditLogError({ operation: "read", cause })
