/**
 * The state of a service: a pure function of its files, its job and a probe of the daemon.
 *
 * The supervisor is not enough: it reports a daemon as running even if it hangs or exits a
 * moment later.
 */
import { exitStatus } from "../domain/exitStatus.ts"
import type { InstalledFile, ServiceFile } from "./ServiceFile.ts"
import { readStamp } from "./ServiceFile.ts"
import type { JobState } from "./Supervisor.ts"
import { describeExit, exitHint, reinstall } from "./Supervisor.ts"

export interface Observation {
  readonly installed: readonly [InstalledFile, ...ReadonlyArray<InstalledFile>]
  /** The files as they would be rendered now from the same choices. */
  readonly expected: ReadonlyArray<ServiceFile>
  readonly job: JobState
  /** The daemon that answers on the socket, if one does. The predecessor does not report its `pid`. */
  readonly answer: { readonly pid: number | undefined; readonly startedBy?: string | undefined } | undefined
  /** How to end the daemon that holds the state directory, if one does. */
  readonly hangFix?: string | undefined
  /** Why the supervisor could not be asked, and what to do about it. */
  readonly unasked?: { readonly reason: string; readonly fix: string } | undefined
  /** Files and directories that the service needs to start and that do not exist. */
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
  /** One line, without the name of the state. */
  readonly reason: string
  /** A hint; empty if there is nothing to do. */
  readonly fix: string
  readonly notes: ReadonlyArray<string>
}

export const assess = (observation: Observation): ServiceStatus => {
  const { installed, job } = observation
  if (installed[0].text === undefined && job.phase === "unloaded")
    return { ...assessWithoutService(observation), notes: [] }
  const edited = installed.filter(({ text }) => text !== undefined && readStamp(text)?.edited !== false)
  const notes = [
    ...edited.map(({ path }) => `${path} was edited after the installation, or not written by this command`),
    ...(job.restarts === undefined || job.restarts === 0 ? [] : [`restarts since it was loaded: ${job.restarts}`]),
    ...(job.lastExit === undefined || job.phase === "failing" || job.phase === "failed"
      ? []
      : [`last exit: ${describeExit(job.lastExit)}`])
  ]
  const status = assessJob(observation)
  const stale = staleness(observation)
  if (stale === undefined) return { ...status, notes }
  if (status.state !== "running") {
    // Nothing else helps without the program.
    const fix = observation.missing.length > 0 ? stale.fix : status.fix
    return { ...status, fix, notes: [...notes, stale.reason] }
  }
  return { state: "stale", reason: `${status.reason}, but ${stale.reason}`, fix: stale.fix, notes }
}

type Assessment = Omit<ServiceStatus, "notes">

const assessment = (state: ServiceStatus["state"], reason: string, fix = ""): Assessment => ({ state, reason, fix })

const assessWithoutService = ({ answer, hangFix, supervisor, unasked }: Observation): Assessment => {
  if (answer !== undefined)
    return assessment("running_unmanaged", `${process(answer.pid)} answers, started ${starterOf(answer.startedBy)}`)
  if (hangFix !== undefined)
    return assessment(
      "not_answering",
      "a daemon without a service holds the state directory and does not reply",
      hangFix
    )
  return unasked === undefined
    ? assessment("not_installed", `${supervisor} has no such service`, "Install it: secrets daemon install")
    : assessment("not_installed", `there is no service file, and ${unasked.reason}`, unasked.fix)
}

const starterOf = (startedBy: string | undefined): string => {
  if (startedBy === "hand") return "by hand"
  return startedBy === "supervisor" ? "by another supervisor" : "by hand or by another supervisor"
}

const process = (pid: number | undefined): string => (pid === undefined ? "a daemon" : `process ${pid}`)

const assessJob = ({ answer, job, missing, supervisor }: Observation): Assessment => {
  switch (job.phase) {
    case "unloaded":
      return assessment(
        "not_loaded",
        `installed, but ${supervisor} has not loaded it`,
        job.fix ?? "Start it: secrets daemon start"
      )
    case "stopped":
      return assessment("stopped", "installed, but stopped", "Start it: secrets daemon start")
    case "starting":
      return assessment("starting", `${supervisor} is starting it`, "Try again: secrets daemon status")
    case "failing":
    case "failed": {
      const exit = job.lastExit
      // launchd's status for what it cannot start is also the daemon's for a setting.
      const isMissing =
        missing.length > 0 && exit !== undefined && "status" in exit && exit.status === exitStatus.badConfig
      if (isMissing) return assessment("failing", `${supervisor} could not start it: ${lacking(missing)}`, reinstall)
      const how = job.lastExit === undefined ? "" : ` (${describeExit(job.lastExit)})`
      const then = job.phase === "failed" ? "does not restart it" : "is about to restart it"
      const fix = exitHint(job.lastExit) ?? "See the log: secrets daemon logs"
      return assessment("failing", `the daemon exited${how}, and ${supervisor} ${then}`, fix)
    }
    case "running": {
      const reason = process(job.pid)
      if (answer !== undefined) return assessment("running", reason)
      const hangs = `${reason} runs but does not answer on its socket`
      return assessment("not_answering", hangs, "Restart it: secrets daemon restart")
    }
  }
}

const lacking = (missing: ReadonlyArray<string>): string => `its program is missing: ${missing.join(", ")}`

/** Returns how the installed service differs from what would be installed now. */
const staleness = ({ expected, installed, job, missing }: Observation) => {
  if (missing.length > 0) return { reason: lacking(missing), fix: reinstall }
  const stamped = readStamp(installed[0].text ?? "")
  const differs = installed.some(({ path, text }) => text !== expected.find((file) => file.path === path)?.text)
  if (stamped !== undefined && !stamped.edited && differs) {
    const now = readStamp(expected[0]?.text ?? "")?.choices.program
    const moved = now !== undefined && now !== stamped.choices.program
    const reason = moved
      ? `the service runs ${stamped.choices.program}, and this command is ${now}`
      : "this version, Node or configuration would write another file"
    return { reason, fix: reinstall }
  }
  return job.needsReload
    ? {
        reason: "its file changed after systemd read it",
        fix: "Run systemctl daemon-reload (with --user, unless --system), then secrets daemon restart"
      }
    : undefined
}
