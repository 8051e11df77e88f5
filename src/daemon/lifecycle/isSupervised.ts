/**
 * Whether a supervisor starts the daemon again when it ends, as far as that can be known.
 *
 * systemd and launchd say so in the environment. Any other supervisor is the parent: one that is
 * known by its name, or a shell that waits in a loop for the daemon alone. Without such
 * evidence it returns false: it decides whether others than the owner may end the daemon.
 */
import * as fs from "node:fs"
import type { Supervision } from "../../domain/supervision.ts"
import { hasControllingTerminal } from "../../process/controllingTerminal.ts"

export interface SupervisionEvidence {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly supervision: Supervision
  readonly pid: number
  readonly parent: number
}

export type StartedBy = "supervisor" | "hand" | "unknown"

/** Returns who started the daemon. A person has a terminal, or a shell that does not start it again. */
export const startedBy = (evidence: SupervisionEvidence): StartedBy => {
  if (isSupervised(evidence)) return "supervisor"
  return hasControllingTerminal() || hasPlainShell(evidence) ? "hand" : "unknown"
}

export const isSupervised = (evidence: SupervisionEvidence): boolean => {
  const { environment, parent, pid, supervision } = evidence
  if (supervision.notifySocket !== undefined || supervision.listeners.length > 0) return true
  if ([String(pid), String(parent)].includes(environment["SYSTEMD_EXEC_PID"] ?? "")) return true
  // A terminal sets it too, to one of the others.
  const job = environment["XPC_SERVICE_NAME"] ?? "0"
  return (job !== "0" && !job.startsWith("application.")) || hasSupervisingParent(pid, parent)
}

/** By their names in /proc, which have at most 15 letters. */
const supervisors = /^(runsv|s6-supervise|supervise|supervise-daemo|supervisord|dinit|circusd|PM2 .*)$/
/** Programs that only change the user or the environment of another one. */
const wrappers = /^(su|sudo|runuser|setpriv|env|nice|timeout)$/
const shells = /^(ba|da|a|k|mk|z)?sh$/
const loop = /(^|[\s;&(])(while|until|for)\s/

/** Returns the process that started the daemon through any wrappers, and the child that it sees. */
const starterOf = (pid: number, parent: number): readonly [child: number, at: number] => {
  let [child, at] = [pid, parent]
  while (wrappers.test(nameOf(at))) [child, at] = [at, parentOf(at)]
  return [child, at]
}

const hasPlainShell = ({ parent, pid }: SupervisionEvidence): boolean => {
  try {
    const [, at] = starterOf(pid, parent)
    // The first process of a container ends with its program, and may be started again.
    return at !== 1 && shells.test(nameOf(at)) && !loop.test(scriptOf(at))
  } catch {
    return false
  }
}

const hasSupervisingParent = (pid: number, parent: number): boolean => {
  try {
    const [child, at] = starterOf(pid, parent)
    const name = nameOf(at)
    return supervisors.test(name) || (shells.test(name) && childrenOf(at) === `${child}` && loop.test(scriptOf(at)))
  } catch {
    return false
  }
}

const read = (pid: number, file: string): string => fs.readFileSync(`/proc/${pid}/${file}`, "utf8").trim()

const nameOf = (pid: number): string => read(pid, "comm")
const childrenOf = (pid: number): string => read(pid, `task/${pid}/children`)

/** Returns the parent. It follows the name, which may hold anything, and the state. */
const parentOf = (pid: number): number => Number(/.*\) \S (\d+)/s.exec(read(pid, "stat"))?.[1])

/**
 * Returns what a shell runs: the text of its option -c, or its script. It is empty for an interactive one, and for a script
 * that cannot be found, as after a change of the directory.
 */
const scriptOf = (pid: number): string => {
  const [, ...args] = read(pid, "cmdline").split("\0")
  const option = args.findIndex((word) => /^-\w*c$/.test(word))
  if (option >= 0) return args[option + 1] ?? ""
  const script = args.find((word) => word !== "" && !word.startsWith("-"))
  if (script === undefined) return ""
  try {
    return fs.readFileSync(`/proc/${pid}/cwd/${script}`.replace(/^.*\/cwd\/\//, "/"), "utf8")
  } catch {
    return ""
  }
}
