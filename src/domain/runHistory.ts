/**
 * How the daemon's runs began and ended: the last one, and the starts that came
 * after one which did not end in order.
 *
 * Three such starts within a minute are a crash loop. It is told of once, at its
 * third start, and again only when there was none in between. Nothing is refused
 * because of it. A pure reckoning; `runsFile` keeps it on the disk.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Timestamp } from "./Timestamp.ts"
import { parseTimestamp } from "./Timestamp.ts"

/** In the state directory. */
export const runsFileName = "runs.json"

const Run = Schema.Struct({
  pid: Schema.Int,
  started_at: Schema.String,
  /** Both absent while it runs, and for ever where it was killed. */
  ended_at: Schema.optionalKey(Schema.String),
  ended_because: Schema.optionalKey(Schema.String),
  /** By a fault, such as a start that could not succeed. */
  failed: Schema.optionalKey(Schema.Boolean)
})
type Run = typeof Run.Type

const UncleanStart = Schema.Struct({
  at: Schema.String,
  /** What is known of the run before it. */
  because: Schema.String
})
export type UncleanStart = typeof UncleanStart.Type

export const RunHistory = Schema.Struct({
  last: Schema.optionalKey(Run),
  /** Oldest first. */
  unclean_starts: Schema.Array(UncleanStart),
  /** Whether the crash loop that goes on was told of. */
  loop_told: Schema.optionalKey(Schema.Boolean)
})
export type RunHistory = typeof RunHistory.Type

export const noRuns: RunHistory = { unclean_starts: [] }

export const decodeRunHistory: (text: string) => Option.Option<RunHistory> = Schema.decodeUnknownOption(
  Schema.fromJsonString(RunHistory)
)
export const encodeRunHistory = (history: RunHistory): string => `${JSON.stringify(history, undefined, 2)}\n`

/** So many unclean starts within this time are a crash loop. A launchd that starts at most once in ten seconds makes six. */
const loopStarts = 3
const loopMillis = 60_000

/** The starts that are kept: those of some minutes, in the fastest loop that a supervisor makes. */
const keptStarts = 20

/** A reason may quote what a disk or a setting says; the first characters of it tell. */
const maxReasonLength = 500

/** A person looks within a day. */
const rememberedMillis = 24 * 60 * 60_000

/** The history with a run that begins; `crash` says that the one before is known to have left things behind. */
export const beginRun = (history: RunHistory, pid: number, at: Timestamp, crash: boolean): RunHistory => {
  const { last, loop_told, unclean_starts } = history
  const isUnclean = crash || (last !== undefined && !isOrderly(last))
  const starts = isUnclean ? [...unclean_starts, { at: at.text, because: becauseOf(last) }] : unclean_starts
  const next = { last: { pid, started_at: at.text }, unclean_starts: starts.slice(-keptStarts) }
  return loop_told === true && isLooping(next, at.millis) ? { ...next, loop_told } : next
}

/** The history with the end of its last run. */
export const endRun = (history: RunHistory, at: Timestamp, because: string, failed: boolean): RunHistory => {
  const { last } = history
  if (last === undefined) return history
  const ended = { ended_at: at.text, ended_because: because.slice(0, maxReasonLength) }
  return { ...history, last: { ...last, ...ended, ...(failed ? { failed } : {}) } }
}

export const markCrashLoopReported = (history: RunHistory): RunHistory => ({ ...history, loop_told: true })

/** The starts of a crash loop that goes on and was not told of yet; undefined if there is none. */
export const unreportedCrashLoop = (history: RunHistory, now: number): ReadonlyArray<UncleanStart> | undefined =>
  history.loop_told !== true && isLooping(history, now) ? startsSince(history, now - loopMillis) : undefined

/** The unclean starts of the last day, and whether any three of them made a crash loop; undefined if there were none. */
export const uncleanStarts = (history: RunHistory, now: number) => {
  const starts = startsSince(history, now - rememberedMillis)
  const [last] = starts.slice(-1)
  if (last === undefined) return undefined
  const times = starts.map(millisOf)
  return {
    count: starts.length,
    times: starts.map(({ at }) => at),
    last_reason: last.because,
    crash_loop: times.some((time, n) => time - (times[n - loopStarts + 1] ?? -Infinity) <= loopMillis)
  }
}

/** How the last run ended, in words for somebody who finds no daemon; undefined where none is known of. */
export const lastRunInWords = ({ last }: RunHistory): string | undefined => {
  if (last === undefined) return undefined
  if (last.ended_at === undefined)
    return `the last one, process ${last.pid}, started ${last.started_at}, did not end in order`
  return `not running since ${last.ended_at}, last exit: ${last.failed === true ? "a fault: " : ""}${last.ended_because ?? "?"}`
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

const millisOf = ({ at }: UncleanStart): number =>
  Option.match(parseTimestamp(at), { onNone: () => -Infinity, onSome: ({ millis }) => millis })
