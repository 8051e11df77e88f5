/**
 * The audit logs of the other machines of a team. What ends a lease or changes a value there
 * concerns the programs here.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Notice } from "../../domain/Run.ts"
import type { TeamAway } from "../../domain/Team.ts"

export interface OtherNotice extends Notice {
  readonly machine: string
  /** The number of the entry in the log of that machine. */
  readonly seq: number
  /** Whether it is of the time before this daemon started, so that the programs that it is for may not be known yet. */
  readonly isEarlier: boolean
}

export interface OtherLogs {
  /** How often they are read while nothing here depends on them. */
  readonly interval: Duration.Duration
  /** Returns the notices that were recorded since the last call; those of the first call, since the last entry here before the start. */
  readonly nextNotices: Effect.Effect<ReadonlyArray<OtherNotice>, TeamAway>
}
