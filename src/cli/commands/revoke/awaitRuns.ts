/**
 * What became of the programs whose starters got a notice: which ended, and which still run.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import type { Problem } from "../../command/Output.ts"
import type { Shaped } from "../../../domain/shape.ts"
import { type ListedRun, runsExample } from "../runs.ts"
import { describeOthers, type runsReached } from "./revoke.ts"

/** Between two looks, in milliseconds. */
const interval = 200

export interface RunsReport {
  readonly notified: number
  readonly ended: number
  /** Those that still run; undefined if the daemon did not say. */
  readonly running: ReadonlyArray<ListedRun> | undefined
  /** The name of this machine in its team. */
  readonly team: string | undefined
}

/** Waits until the programs have ended, at most so many milliseconds. */
export const awaitRuns = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  { run_ids: runIds = [], team }: Shaped<typeof runsReached>,
  millis: number
) {
  const notified = runIds.length
  if (notified === 0) return { notified, ended: 0, running: [], team } satisfies RunsReport
  const ids = new Set(runIds)
  const look = Effect.map(call(daemon, "runs.list", { told: true }, runsExample), ({ runs }) =>
    runs.filter(({ run_id }) => ids.has(run_id))
  ).pipe(Effect.orElseSucceed(() => undefined))
  const start = yield* Clock.currentTimeMillis
  while (true) {
    const running = yield* look
    const left = start + millis - (yield* Clock.currentTimeMillis)
    if (running?.length === 0 || left <= 0) {
      return { notified, ended: notified - (running?.length ?? notified), running, team } satisfies RunsReport
    }
    yield* Effect.sleep(Math.min(interval, left))
  }
})

/** Programs that a line names. */
const maxNamed = 10

/** Describes them, and that other machines may have some, too. */
export const describeRuns = (report: RunsReport): ReadonlyArray<string> => [
  ...describeOwn(report),
  ...describeOthers(report.team)
]

const describeOwn = ({ ended, notified, running }: RunsReport): ReadonlyArray<string> => {
  if (notified === 0) return []
  const outcome = `${counted(notified, "program")} notified, ${ended} ended`
  if (running === undefined) return [`${outcome}; the daemon does not list the others`]
  if (running.length === 0) return [outcome]
  const named = running
    .slice(0, maxNamed)
    .map(
      ({ client_id, pid, program = "a program" }) =>
        `${escapeValue(program)} (${pid === undefined ? "" : `pid ${pid}, `}client ${escapeValue(client_id)})`
    )
  const more = running.length > maxNamed ? [`and ${running.length - maxNamed} more`] : []
  return [`${outcome}, ${running.length} still running: ${[...named, ...more].join(", ")}`]
}

/** Returns what `--json` has of them. */
export const runsResult = ({ ended, notified, running = [] }: RunsReport) => ({
  runs: {
    notified,
    ended,
    running: running.map(({ client_id, pid, program, run_id }) => ({ run_id, client_id, program, pid }))
  }
})

/** Returns the problem of programs that still run: they ignore TERM, or wait for its timeout. */
export const stillRunning = ({ ended, notified, running = [] }: RunsReport): Problem | undefined => {
  if (notified === ended) return undefined
  const pids = running.flatMap(({ pid }) => pid ?? []).slice(0, maxNamed)
  const end = pids.length === 0 ? "" : ` End them: kill -9 ${pids.join(" ")}`
  return {
    message: `${counted(notified - ended, "program")} did not end`,
    code: "still_running",
    fix: `Look at them: secrets runs; or wait longer with --wait.${end}`,
    exitStatus: exitStatus.incomplete
  }
}
