/**
 * The audit log: what happened, in order, on disk before any reply reports it.
 *
 * `append` is durable when it succeeds; when it fails, the log has nothing of it. Waiting
 * appends share one flush, and each entry is chained to the one before (`AuditChain`). The
 * log is the source of truth for leases. A full file becomes an archive.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { chainFacts, genesis, isChained } from "../../domain/AuditChain.ts"
import { type AuditEntry, type AuditFact, decodeEntry, isLockEntry } from "../../domain/AuditEntry.ts"
import type { Config } from "../../domain/Config.ts"
import { defaults } from "../../domain/settingDefaults.ts"
import { fromMillis, type Timestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import * as metrics from "../../otel/metrics.ts"
import type { AuditCommit, CommitChange } from "./AuditCommit.ts"
import { commitWithCopy } from "./commitWithCopy.ts"
import { FileError } from "../files/durableFile.ts"
import { auditFindings } from "./auditFindings.ts"
import type { AuditLogError } from "./AuditLogError.ts"
import type { AuditPosition } from "./AuditPosition.ts"
import { auditReading } from "./auditReading.ts"
import { type AuditNeighbours, auditNeighbours } from "./auditEvidence.ts"
import { openAuditHead, readAuditHead } from "./auditHead.ts"
import { auditStart, firstChained, type Predecessor } from "./auditStart.ts"
import { type AuditReport, verifyAuditLog } from "./verifyAuditLog.ts"
import { reportFileChange, tornFacts } from "./fileFacts.ts"
import { groupAppends } from "./groupAppends.ts"
import * as LogFile from "./LogFile.ts"
import type { OtherLogs } from "./OtherLogs.ts"

const inTeam = new Error("this machine is in a team, whose daemon alone writes entries")

export interface AuditDiagnostics {
  /** The number of the last entry. */
  readonly seq: number
  /** The size in bytes of the current file, without archives. */
  readonly size: number
  readonly archives: number
  /** Why the last append failed; undefined if it succeeded. */
  readonly failure: string | undefined
  /** What is wrong with the log, the store or leases.json, as far as it is known. */
  readonly findings: ReadonlyArray<string>
  /** What this start adopted of the predecessor. */
  readonly adopted: ReadonlyArray<string>
}

/** Follows what is written, at once and before any reply. It must not fail. */
export interface AuditObserver {
  /** Takes the entries of one write; `first` is the number of the first. */
  readonly written: (facts: ReadonlyArray<AuditFact>, first: number, at: Timestamp) => void
  /** Takes the hash of secrets.age after it was written, or could not be. */
  readonly stored: (hash: string | undefined) => void
}

/** What a start rebuilds from the log. Rotation keeps the entries that one of them still needs. */
type LogReader = "leases" | "exposure"

export class AuditLog extends Context.Service<
  AuditLog,
  {
    /**
     * Writes the facts with the current time and the caller's socket, and returns the position after them; cannot be
     * interrupted. A change is committed with them, where the log has an `AuditCommit`.
     */
    readonly append: (
      facts: ReadonlyArray<AuditFact>,
      change?: CommitChange
    ) => Effect.Effect<AuditPosition, AuditLogError>
    /** Returns the last `count` entries, or those in about `length` characters, oldest first. Skips invalid lines. */
    readonly tail: (count: number, length?: number) => Effect.Effect<ReadonlyArray<AuditEntry>, AuditLogError>
    /** Passes all lines of all files to `visit`, oldest first; `pause` runs after each chunk. */
    readonly readForwards: (
      visit: (line: string) => void,
      pause: Effect.Effect<void>
    ) => Effect.Effect<void, AuditLogError>
    /** Waits until the log continues in another file: by rotation, or because another process moved or cut the file. */
    readonly nextFile: Effect.Effect<void>
    /** Passes all lines to `visit`, from the last one backwards, until it returns false. */
    readonly readBackwards: (visit: (line: string) => boolean) => Effect.Effect<void, AuditLogError>
    /** Returns the entries after a position, of any program, oldest first; none if the position is not in this log. */
    readonly since: (
      position: Pick<AuditPosition, "seq" | "line">
    ) => Effect.Effect<Option.Option<ReadonlyArray<AuditEntry>>, AuditLogError>
    /** The position after the last entry. */
    readonly position: Effect.Effect<AuditPosition>
    /** What the predecessor wrote after our last entry, while its leases are not in the log; else undefined. */
    readonly predecessor: Predecessor | undefined
    /** Whether an entry that the start found is the daemon's, or the predecessor's where it wrote last. */
    readonly isTrusted: (entry: AuditEntry) => boolean
    /** Logs what is wrong with the log, the store or leases.json, and records those that are not `recorded` yet. */
    readonly report: (findings: ReadonlyArray<string>, recorded?: ReadonlySet<string>) => Effect.Effect<void>
    /** Verifies all files of the log and what is beside it; pauses after each chunk if asked to. */
    readonly verify: (pause?: Duration.Input) => Effect.Effect<AuditReport, FileError>
    /** Removes findings from the diagnostics, because they are accepted. */
    readonly forget: (findings: ReadonlyArray<string>) => Effect.Effect<void>
    /** Logs what was adopted of the predecessor. */
    readonly reportAdoption: (details: string) => Effect.Effect<void>
    /** Since when the store is locked by the log that the start found; undefined if it is not. */
    readonly lockedSince: string | undefined
    /** The time of the last entry that the start found; undefined if there was none. */
    readonly lastEntryTime: Timestamp | undefined
    readonly diagnostics: Effect.Effect<AuditDiagnostics>
    /** Waits until an append fails after one that succeeded; returns the reason. */
    readonly nextFailure: Effect.Effect<string>
    /** Remembers the hash of secrets.age after it was written, beside the log, so that a replaced store is detected. */
    readonly recordStore: (hash: string | undefined) => Effect.Effect<void>
    /** Calls the observer from here on, as long as the scope lasts; returns the position before. */
    readonly observe: (observer: AuditObserver) => Effect.Effect<AuditPosition, never, Scope.Scope>
    /** Allows rotation to drop the entries up to this number, as far as `reader` is concerned: no start needs them for it. */
    readonly release: (seq: number, reader?: LogReader) => Effect.Effect<void>
    /** The SHA-256 of secrets.age as the start found it. */
    readonly storeAtStart: string | undefined
    /** Whether another process has moved, truncated or extended the file since the start. */
    readonly isDisturbed: Effect.Effect<boolean>
    /** Opens the file that the path names now. */
    readonly reopen: Effect.Effect<void, AuditLogError>
    /** The logs of the other machines; undefined without a team. */
    readonly others: OtherLogs | undefined
  }
>()("agent-secrets/AuditLog") {
  /** The log of a state directory, checked against the files beside it. */
  static readonly layerOf = (
    config: Pick<Config, "auditPath" | "auditRotation" | "team"> & Parameters<typeof auditNeighbours>[0]
  ) =>
    config.team === undefined
      ? AuditLog.layer(config.auditPath, config.auditRotation, auditNeighbours(config))
      : // An entry here alone would be another history than the one in the database.
        Layer.effect(
          AuditLog,
          Effect.fail(new FileError({ operation: "append to", path: config.auditPath, cause: inTeam }))
        )

  /** The log in a file. A torn last line is repaired; repairs and detected damage are the first new entries. */
  static readonly layer = (
    path: string,
    rotation = defaults.auditRotation,
    beside: AuditNeighbours = {},
    commit?: AuditCommit
  ) =>
    Layer.effect(
      AuditLog,
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { log, torn } = yield* LogFile.openLog(path, (line) => Option.isSome(decodeEntry(line)), now)
        const storedHead = yield* readAuditHead(path)
        const start = yield* auditStart(log, storedHead, beside)
        const writeHead = yield* openAuditHead(path)
        let { first, head } = start
        let last = start.last ?? { seq: 0, line: genesis.hash, timestamp: zeroTimestamp.text }
        let { locked } = start
        const released = new Map<LogReader, number>([["leases", 0]])
        const newFiles = yield* Queue.sliding<void>(1)
        let isNewFile = false
        let store = Option.getOrUndefined(storedHead)?.store
        let canRotate = true
        /** Findings about the file that are not written yet. */
        let pendingFindings: ReadonlyArray<AuditFact> = []
        const observers = new Set<AuditObserver>()

        const headWith = (open: boolean) => {
          const head = { seq: last.seq, hash: last.line, first, open }
          return {
            ...head,
            ...(store === undefined ? {} : { store }),
            ...(locked === undefined ? {} : { locked })
          }
        }
        const commits = commit && (yield* commitWithCopy(commit, log, () => saveHead(true)))
        /** Where the file is missing or ahead of the log, that is recorded before it is written. */
        let isHeadRight = start.isHeadRight
        const canSaveHead = () => isHeadRight && commits?.isBehind() !== true
        const saveHead = (open: boolean, isFlushed = false) => canSaveHead() && writeHead(headWith(open), isFlushed)

        const positionNow = (): AuditPosition => ({
          seq: last.seq,
          line: last.line,
          at: last.timestamp,
          generation: log.generation()
        })

        /** Returns whether no start needs the oldest archive, given the remaining files. */
        const canDrop = (remaining: ReadonlyArray<string>): boolean => {
          const oldest = firstChained(remaining)?.seq ?? head.seq + 1
          if (oldest - 1 > Math.min(...released.values()) || !canSaveHead()) return false
          first = Math.max(first, oldest)
          // Written before the file is removed; otherwise a crash in between would look like a missing archive.
          saveHead(true)
          return true
        }

        /** Returns whether the file is too full for this. The first chained entry seals the foreign lines before it, in one file. */
        const isFull = (added: number) => head.seq > 0 && log.size() > 0 && log.size() + added > rotation.maxSize
        const rotate = Effect.gen(function* () {
          const error = yield* Effect.flip(log.rotate(rotation.maxFiles, canDrop)).pipe(
            Effect.orElseSucceed(() => undefined)
          )
          if (error !== undefined && canRotate)
            yield* Effect.logWarning(`${error.message}; the audit log grows beyond its limit`)
          canRotate = error === undefined
          isNewFile ||= canRotate
        })

        /** Saves the head of what is flushed: it must not be ahead of a copy, which is flushed later. */
        const saveFlushedHead = Effect.suspend(() => commits?.flushLater ?? Effect.sync(() => saveHead(true)))

        const write = Effect.fnUntraced(function* (appended: ReadonlyArray<AuditFact>, change?: CommitChange) {
          const fileChange = yield* log.follow
          if (fileChange._tag !== "Same") {
            isNewFile ||= fileChange._tag !== "Longer"
            pendingFindings = [...pendingFindings, ...(yield* reportFileChange(fileChange))]
          }
          if (commits?.mustEnter() === true) {
            const entered = yield* commits.enter(head)
            pendingFindings = [...pendingFindings, ...entered.facts]
            if (entered.last !== undefined) {
              head = entered.last
              last = { seq: head.seq, line: head.hash, timestamp: entered.last.timestamp }
            }
          }
          const facts = [...pendingFindings, ...appended]
          if (facts.length === 0 && change === undefined) return
          const at = fromMillis(yield* commit?.now ?? Clock.currentTimeMillis)
          const { head: next, text } = chainFacts(facts, at, head)
          if (isFull(text.length)) yield* rotate
          const writing: Effect.Effect<void, AuditLogError["cause"]> =
            commits === undefined ? log.append(text) : commits.put({ text, before: head, after: next }, change)
          const [duration] = yield* Effect.timed(Effect.tapError(writing, () => metrics.countFlushFailure))
          yield* metrics.recordFlush(facts.length, duration)
          pendingFindings = []
          const first = head.seq + 1
          head = next
          last = { seq: next.seq, line: next.hash, timestamp: at.text }
          const lock = facts.findLast(isLockEntry)
          if (lock !== undefined) locked = lock.action === "store_lock" ? (locked ?? at.text) : undefined
          isHeadRight = true
          yield* saveFlushedHead
          for (const { written } of observers) written(facts, first, at)
          // A file that only was reopened gets no entry about that.
          if (!isNewFile || appended.length === 0) return
          isNewFile = false
          Queue.offerUnsafe(newFiles, undefined)
        })

        const { append, failure, nextFailure } = yield* groupAppends(write, positionNow)
        const { adopted, findings, forget, report, reportAdoption } = auditFindings(append)

        saveHead(true, true)
        yield* Effect.addFinalizer(() => Effect.sync(() => saveHead(false, true)))
        for (const { action, details = "" } of start.facts) {
          if (action === "audit_adopt") yield* reportAdoption(details)
          else yield* report([details], new Set([details]))
        }
        const repairs = tornFacts(torn)
        for (const { details } of repairs) yield* Effect.logWarning(`audit log: ${details}`)
        yield* Effect.ignore(append([...start.facts, ...repairs]))
        return AuditLog.of({
          ...auditReading(log, path),
          append,
          position: Effect.sync(positionNow),
          predecessor: start.predecessor,
          isTrusted: (entry) =>
            isChained(entry)
              ? entry.seq <= start.trusted || entry.seq > start.head.seq
              : start.predecessor !== undefined,
          report,
          verify: (pause) => verifyAuditLog(path, { beside, ...(pause === undefined ? {} : { pause }) }),
          forget,
          reportAdoption,
          lockedSince: start.locked,
          lastEntryTime: start.lastEntryTime,
          diagnostics: Effect.sync(() => ({
            seq: last.seq,
            size: log.size(),
            archives: log.files().length - 1,
            failure: failure(),
            findings: [...findings],
            adopted
          })),
          nextFailure,
          recordStore: (hash) =>
            Effect.suspend(() => {
              store = hash
              for (const { stored } of observers) stored(hash)
              return saveFlushedHead
            }),
          release: (seq, reader = "leases") =>
            Effect.sync(() => void released.set(reader, Math.max(released.get(reader) ?? 0, seq))),
          observe: (observer) => Effect.map(observeWith(observers, observer), positionNow),
          nextFile: Queue.take(newFiles),
          storeAtStart: start.store,
          isDisturbed: Effect.sync(log.isDisturbed),
          reopen: Effect.asVoid(append([])),
          others: commit?.others
        })
      })
    )
}

export const observeWith = (observers: Set<AuditObserver>, observer: AuditObserver) =>
  Effect.acquireRelease(
    Effect.sync(() => void observers.add(observer)),
    () => Effect.sync(() => void observers.delete(observer))
  )
