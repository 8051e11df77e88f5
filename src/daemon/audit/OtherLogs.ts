/**
 * The audit logs of the other machines of a team. What ends a lease or changes a value there
 * concerns the programs here, and who was given a value there was given the same value.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Exposure } from "../../domain/Exposure.ts"
import type { Notice } from "../../domain/Run.ts"
import type { TeamAway } from "../../domain/Team.ts"

export interface OtherNotice extends Notice {
  readonly machine: string
  /** The number of the entry in the log of that machine. */
  readonly seq: number
  /** Whether it is of the time before this daemon started, so that the programs that it is for may not be known yet. */
  readonly isEarlier: boolean
}

export interface OtherExposures {
  /** Who was given what by each other machine since it joined. */
  readonly machines: ReadonlyMap<string, Exposure>
  /** The number of the last entry of this machine before it joined. */
  readonly joined: number
  /** Whether the logs were read to their ends. */
  readonly isComplete: boolean
}

export interface OtherLogs {
  /** How often they are read while nothing here depends on them. */
  readonly interval: Duration.Duration
  /** Returns the notices that were recorded since the last call; those of the first call, since the last entry here before the start. */
  readonly nextNotices: Effect.Effect<ReadonlyArray<OtherNotice>, TeamAway>
  /** Reads what is new since the last call, for two seconds at most; the next call goes on. */
  readonly exposures: Effect.Effect<OtherExposures, TeamAway>
}
