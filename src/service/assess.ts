/**
 * In which state a service is, of everything that can be seen of it: its files, what
 * the supervisor says, and whether a daemon answers. A pure judgement.
 *
 * The supervisor's word alone is not enough: it calls a daemon running that hangs, and
 * one that ends a moment later.
 */
import { describeExit, exitHint } from "./lastExit.ts"
import type { InstalledFile } from "./servicePlan.ts"
import type { ServiceFile } from "./ServiceOptions.ts"
import { readStamp } from "./stamp.ts"
import type { JobState } from "./Supervisor.ts"

export interface Observation {
  readonly found: readonly [InstalledFile, ...ReadonlyArray<InstalledFile>]
  /** The files as they would be rendered now from the same choices. */
  readonly expected: ReadonlyArray<ServiceFile>
  readonly job: JobState
  /** Who answers on the socket; undefined if nobody does. `pid` is undefined for a daemon that does not tell. */
  readonly answer: { readonly pid: number | undefined } | undefined
  /** Files that the service runs and that are not there. */
  readonly missing: ReadonlyArray<string>
  /** For the messages: "launchd" or "systemd". */
  readonly supervisor: string
}

export interface ServiceStatus {
  readonly state:
    | "running"
    | "running_unmanaged"
    | "stale"
    | "not_answering"
    | "failing"
    | "starting"
    | "stopped"
    | "not_loaded"
    | "not_installed"
  /** In one line, without the name of the state. */
  readonly reason: string
  /** What to do; empty where there is nothing to do. */
  readonly fix: string
  /** What else a person should know. */
  readonly notes: ReadonlyArray<string>
}

export const assess = (sight: Observation): ServiceStatus => {
  const { found, job } = sight
  const main = found[0].text
  if (main === undefined && job.phase === "unloaded") return withoutService(sight)
  const stale = staleness(sight)
  const edited = found.filter(({ text }) => text !== undefined && readStamp(text)?.edited !== false)
  const notes = [
    ...edited.map(
      ({ path }) => `${path} was edited since it was installed, or is not from this command; it is left alone`
    ),
    ...(job.restarts === undefined || job.restarts === 0 ? [] : [`restarts since it was loaded: ${job.restarts}`]),
    ...(job.lastEnd === undefined || job.phase === "failing" || job.phase === "failed"
      ? []
      : [`last end: ${describeExit(job.lastEnd)}`])
  ]
  const verdict = ofJob(sight)
  if (stale === undefined) return { ...verdict, notes }
  if (verdict.state !== "running") return { ...verdict, notes: [...notes, stale.reason] }
  return { state: "stale", reason: `${verdict.reason}, but ${stale.reason}`, fix: stale.fix, notes }
}

const withoutService = ({ answer, supervisor }: Observation): ServiceStatus =>
  answer === undefined
    ? { state: "not_installed", reason: `${supervisor} has no such service`, fix: "secrets daemon install", notes: [] }
    : {
        state: "running_unmanaged",
        reason: `${process(answer.pid)} answers, started by hand or by another supervisor`,
        fix: "",
        notes: []
      }

const process = (pid: number | undefined): string => (pid === undefined ? "a daemon" : `process ${pid}`)

const ofJob = ({ answer, job, supervisor }: Observation): Omit<ServiceStatus, "notes"> => {
  switch (job.phase) {
    case "unloaded":
      return {
        state: "not_loaded",
        reason: `installed, but ${supervisor} has not loaded it`,
        fix: "secrets daemon start"
      }
    case "stopped":
      return { state: "stopped", reason: "installed, and stopped", fix: "secrets daemon start" }
    case "starting":
      return { state: "starting", reason: "it is being started", fix: "Ask again in a moment: secrets daemon status" }
    case "failing":
    case "failed": {
      const how = job.lastEnd === undefined ? "" : ` (${describeExit(job.lastEnd)})`
      const then = job.phase === "failed" ? "gave it up" : "is about to start it again"
      const fix = exitHint(job.lastEnd) ?? "See what it says: secrets daemon logs"
      return { state: "failing", reason: `it ended${how}, and ${supervisor} ${then}`, fix }
    }
    case "running":
      return answer === undefined
        ? {
            state: "not_answering",
            reason: `${process(job.pid)} runs and does not answer on its socket`,
            fix: "Have it started anew: secrets daemon restart"
          }
        : { state: "running", reason: process(job.pid), fix: "" }
  }
}

/** Why what is installed is not what would be installed now. */
const staleness = ({ expected, found, job, missing }: Observation) => {
  const again = "Install it again: secrets daemon install"
  if (missing.length > 0) return { reason: `${missing.join(" and ")}, which it runs, is not there`, fix: again }
  const stamped = readStamp(found[0].text ?? "")
  const differs = found.some(({ path, text }) => text !== expected.find((file) => file.path === path)?.text)
  if (stamped !== undefined && !stamped.edited && differs) {
    const now = readStamp(expected[0]?.text ?? "")?.choices.program
    const moved = now !== undefined && now !== stamped.choices.program
    const why = moved
      ? `it runs ${stamped.choices.program}, and this is ${now}`
      : "it would be written otherwise now: by another version, Node or setting"
    return { reason: why, fix: again }
  }
  // Where the supervisor has not read it, the file says nothing about what runs.
  return job.outdated
    ? {
        reason: "its file was changed and not read since",
        fix: "Have it read: systemctl daemon-reload (with --user, unless --system), then secrets daemon restart"
      }
    : undefined
}
