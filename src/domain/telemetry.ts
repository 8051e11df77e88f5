/** The levels of events, and what can be sent to a collector. */

/** By rising severity. */
export const levels = ["debug", "info", "warn", "error"] as const
export type Level = (typeof levels)[number]

export interface SamplingPolicy {
  /** Events below this level are not sent. */
  readonly minLevel: Level
  /** Debug events of one action that are sent within a minute. */
  readonly debugPerMinute: number
}

/** Environment variables that take precedence over config.json. */
export const samplingVariables = {
  minLevel: "AGENT_SECRETS_EVENTS_MIN_LEVEL",
  debugPerMinute: "AGENT_SECRETS_EVENTS_DEBUG_PER_MINUTE"
} as const

/** What can be sent: events, spans of acquires, metrics. */
export const signals = ["logs", "traces", "metrics"] as const
export type Signal = (typeof signals)[number]
