/**
 * Which events are worth sending: the levels there are, and the policy.
 */

/** From the one that says most to the one that says least. */
export const levels = ["debug", "info", "warn", "error"] as const
export type Level = (typeof levels)[number]

export interface SamplingPolicy {
  /** Events below this are not sent. */
  readonly minLevel: Level
  /** Debug events of one action that are sent within a minute. */
  readonly debugPerMinute: number
}

/** Routine is left out unless it is asked for; and of that, no more than joelclaw's side keeps. */
export const standardSampling: SamplingPolicy = { minLevel: "info", debugPerMinute: 12 }
