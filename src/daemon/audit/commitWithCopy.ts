/**
 * Commits entries elsewhere, and then copies them to the file.
 *
 * A copy that fails rejects nothing, because the entries count already: it is made with the
 * next one, and after a restart from what is committed. It is flushed within a second.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ChainHead, decodeChainedEntry, sha256 } from "../../domain/AuditChain.ts"
import { TeamAway } from "../../domain/Team.ts"
import type { AuditCommit, ChainedLines, CommitChange } from "./AuditCommit.ts"
import type { LogFile } from "./LogFile.ts"

const flushInterval = Duration.seconds(1)

export const commitWithCopy = Effect.fnUntraced(function* (
  commit: AuditCommit,
  log: LogFile,
  /** Runs after each flush of the copy. */
  flushed: () => void
) {
  /** Lines that are committed and not in the file. */
  let behind = ""
  let isFlushed = true

  const copy = (text: string) =>
    Effect.suspend(() => {
      const missing = behind + text
      if (missing === "") return Effect.void
      isFlushed = false
      const error = log.appendUnflushed(missing)
      const isFirst = behind === ""
      behind = error === undefined ? "" : missing
      return error !== undefined && isFirst
        ? Effect.logWarning(`${error.message}; the team's database has the entries`)
        : Effect.void
    })

  const flush = Effect.suspend(() => {
    if (isFlushed) return Effect.void
    isFlushed = true
    return Effect.ignore(Effect.tap(log.flush, () => Effect.sync(flushed)))
  })
  yield* Effect.addFinalizer(() => Effect.andThen(copy(""), flush))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(flushInterval), flush)))

  const linesAfter = Effect.fnUntraced(function* (seq: number) {
    const lines: Array<string> = []
    yield* log
      .readBackwards((line) => {
        const entry = Option.getOrUndefined(decodeChainedEntry(line))
        if (entry !== undefined && entry.seq > seq) lines.push(line)
        return entry === undefined || entry.seq > seq
      })
      .pipe(Effect.mapError(({ message }) => new TeamAway({ reason: message })))
    return lines.toReversed()
  })

  return {
    /** Whether the file lacks lines that are committed, because a copy failed: its head must not be saved as if it had them. */
    isBehind: () => behind !== "",
    /** Has `flushed` run after the next interval, also if no line is added. */
    flushLater: Effect.sync(() => void (isFlushed = false)),
    /** Whether the file and what is committed have to be made the same first. */
    mustEnter: () => behind !== "" || !commit.isEntered(),
    /** Makes them the same; returns the last entry that the file lacked, and what to record. */
    enter: Effect.fnUntraced(function* (head: ChainHead) {
      const { facts, missed } = yield* commit.enter(head, linesAfter)
      yield* copy(missed)
      const line = missed.trimEnd().split("\n").at(-1) ?? ""
      const entry = Option.getOrUndefined(decodeChainedEntry(line))
      return { facts, last: entry && { seq: entry.seq, hash: sha256(`${line}\n`), timestamp: entry.timestamp } }
    }),
    put: (lines: ChainedLines, change: CommitChange | undefined) =>
      Effect.andThen(commit.put(lines, change), copy(lines.text))
  }
})
