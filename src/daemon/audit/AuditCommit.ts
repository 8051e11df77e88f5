/**
 * Where entries become durable before the file has them. The file is then a copy, which is
 * flushed later: what is committed elsewhere counts.
 */
import type * as Effect from "effect/Effect"
import type { ChainHead } from "../../domain/AuditChain.ts"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import type { TeamAway, TeamChanged } from "../../domain/Team.ts"
import type { OtherLogs } from "./OtherLogs.ts"

/** What commits together with entries, in a form that only the two ends know. */
export type CommitChange = Readonly<Record<string, unknown>>

/** Lines that continue a chain. */
export interface ChainedLines {
  readonly text: string
  readonly before: ChainHead
  readonly after: ChainHead
}

export interface AuditCommit {
  /**
   * Makes sure that the head of the file is the one elsewhere: returns the lines that the file lacks, and what is to be
   * recorded. `linesAfter` reads the lines of the file after a number.
   */
  readonly enter: (
    head: ChainHead,
    linesAfter: (seq: number) => Effect.Effect<ReadonlyArray<string>, TeamAway>
  ) => Effect.Effect<{ readonly missed: string; readonly facts: ReadonlyArray<AuditFact> }, TeamAway>
  /** Whether that is sure since the last call. */
  readonly isEntered: () => boolean
  /** Commits lines and a change, or nothing. */
  readonly put: (lines: ChainedLines, change: CommitChange | undefined) => Effect.Effect<void, TeamAway | TeamChanged>
  /** The time of entries, in milliseconds. */
  readonly now: Effect.Effect<number>
  /** The logs of others that commit to the same place. */
  readonly others: OtherLogs
}
