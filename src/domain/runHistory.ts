/**
 * The history of the daemon's runs: the last run, and the unclean starts, which follow a run
 * that did not shut down cleanly. A start that was refused, as for a wrong setting, is none of
 * these. Three unclean starts within a minute are a crash loop. A
 * loop is reported once. It never prevents a start. Pure; `runsFile` stores the history.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseTimestamp, type Timestamp } from "./Timestamp.ts"

/** In the state directory. */
export const runsFileName = "runs.json"

const Run = Schema.Struct({
  pid: Schema.Int,
  started_at: Schema.String,
  /** Whether a supervisor starts it again when it ends. */
  supervised: Schema.optionalKey(Schema.Boolean),
  /** Both absent while it runs, and for good if it was killed. */
  ended_at: Schema.optionalKey(Schema.String),
  ended_because: Schema.optionalKey(Schema.String),
  /** Whether it failed, such as a start with an unreadable store. */
  failed: Schema.optionalKey(Schema.Boolean),
  /** Whether it did not start, because of a setting or of what it found at a path. */
  refused: Schema.optionalKey(Schema.Boolean)
})
type Run = typeof Run.Type

const UncleanStart = Schema.Struct({
  at: Schema.String,
  /** How the run before it ended. */
  because: Schema.String
})
export type UncleanStart = typeof UncleanStart.Type

export const RunHistory = Schema.Struct({
  last: Schema.optionalKey(Run),
  /** The last audit entry at the last orderly stop: evidence against a log that was cut since. */
  audit: Schema.optionalKey(Schema.Struct({ seq: Schema.Int, hash: Schema.String })),
  /** Oldest first. */
  unclean_starts: Schema.Array(UncleanStart),
  /** Whether the current crash loop was reported. */
  loop_told: Schema.optionalKey(Schema.Boolean)
})
export type RunHistory = typeof RunHistory.Type

export const noRuns: RunHistory = { unclean_starts: [] }

export const decodeRunHistory = Schema.decodeUnknownOption(Schema.fromJsonString(RunHistory))
export const encodeRunHistory = (history: RunHistory): string => `${JSON.stringify(history, undefined, 2)}\n`

/** launchd starts at most once in ten seconds, so a loop makes six starts a minute. */
const [loopStarts, loopMillis] = [3, 60_000]
const [maxStarts, maxReasonLength] = [20, 500]
const reportedMillis = 24 * 60 * 60_000

/** Adds a run. `crash` means that the run before it left files behind. */
export const beginRun = (
  history: RunHistory,
  pid: number,
  at: Timestamp,
  crash: boolean,
  supervised = false
): RunHistory => {
  const { last, loop_told, unclean_starts } = history
  // A refused start leaves the files of a crash before it, which it has counted.
  const isUnclean = last?.refused !== true && (crash || (last !== undefined && !isOrderly(last)))
  const starts = isUnclean ? [...unclean_starts, { at: at.text, because: becauseOf(last) }] : unclean_starts
  const next: RunHistory = {
    last: { pid, started_at: at.text, ...(supervised ? { supervised } : {}) },
    ...(history.audit === undefined ? {} : { audit: history.audit }),
    unclean_starts: starts.slice(-maxStarts)
  }
  return loop_told === true && isLooping(next, at.millis) ? { ...next, loop_told } : next
}

/** Records the end of the last run; `how` is undefined for an orderly one. */
export const endRun = (history: RunHistory, at: Timestamp, because: string, how?: "failed" | "refused"): RunHistory => {
  const { last } = history
  if (last === undefined) return history
  const ended = { ended_at: at.text, ended_because: because.slice(0, maxReasonLength) }
  return { ...history, last: { ...last, ...ended, ...(how === undefined ? {} : { [how]: true }) } }
}

export const withAuditEnd = (history: RunHistory, audit: NonNullable<RunHistory["audit"]>): RunHistory => ({
  ...history,
  audit
})

export const markCrashLoopReported = (history: RunHistory): RunHistory => ({ ...history, loop_told: true })

/** Returns the starts of a crash loop that was not reported yet; undefined if there is none. */
export const unreportedCrashLoop = (history: RunHistory, now: number): ReadonlyArray<UncleanStart> | undefined =>
  history.loop_told !== true && isLooping(history, now) ? startsSince(history, now - loopMillis) : undefined

/** Summarizes the unclean starts of the last day; undefined if there were none. */
export const uncleanStarts = (history: RunHistory, now: number) => {
  const starts = startsSince(history, now - reportedMillis)
  const last = starts.at(-1)
  if (last === undefined) return undefined
  const times = starts.map(millisOf)
  return {
    count: starts.length,
    times: starts.map(({ at }) => at),
    last_reason: last.because,
    crash_loop: times.some((time, n) => time - (times[n - loopStarts + 1] ?? -Infinity) <= loopMillis)
  }
}

/** Describes how the last run ended; undefined if there was none. */
export const lastRunInWords = ({ last }: RunHistory): string | undefined => {
  if (last === undefined) return undefined
  if (last.ended_at === undefined) {
    return `the last one, process ${last.pid}, started ${last.started_at}, did not end in order`
  }
  const kind = last.failed === true ? "a fault: " : last.refused === true ? "it did not start: " : ""
  return `not running since ${last.ended_at}, last exit: ${kind}${last.ended_because ?? "?"}`
}

/** Longer than a supervisor pauses before a start. */
const recentMillis = 30_000

/** Returns whether a daemon is expected after this run: it has a supervisor, or wrote or ended a moment ago. */
export const promisesReturn = ({ last }: RunHistory, lastWrite: number, now: number): boolean => {
  if (last === undefined) return false
  const ended = last.ended_at === undefined ? lastWrite : millisOf({ at: last.ended_at })
  return last.supervised === true || Math.abs(now - ended) < recentMillis
}

const isOrderly = (run: Run): boolean => run.ended_at !== undefined && run.failed !== true

const becauseOf = (run: Run | undefined): string => {
  if (run === undefined) return "the last daemon did not stop in order"
  const who = `process ${run.pid}, started ${run.started_at},`
  return run.failed === true ? `${who} ended by a fault: ${run.ended_because ?? "?"}` : `${who} was killed or crashed`
}

const isLooping = (history: RunHistory, now: number): boolean =>
  startsSince(history, now - loopMillis).length >= loopStarts

const startsSince = ({ unclean_starts }: RunHistory, since: number): ReadonlyArray<UncleanStart> =>
  unclean_starts.filter((start) => millisOf(start) >= since)

const millisOf = ({ at }: Pick<UncleanStart, "at">): number =>
  Option.getOrUndefined(parseTimestamp(at))?.millis ?? -Infinity
