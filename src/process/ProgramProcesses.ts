/**
 * The processes of a program that we have started: the program, its group where that is not ours, and
 * what they have started. A process outside of the group whose parent has ended, such as a daemon, is
 * found on Linux, by a variable that no other program has.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"

interface ProcessState {
  readonly parent: number
  readonly group: number
  /** When it began, in the system's words: the number of a process that has ended may be another one's. */
  readonly begun: string
  readonly isZombie: boolean
}

export class ProgramProcesses {
  /** Those that were stopped beside the program, with their begin. */
  private readonly stopped = new Map<number, string>()
  /** Undefined if it could not be started. */
  readonly pid: number | undefined
  private readonly ownsGroup: boolean
  private readonly hasExited: () => boolean
  private readonly mark: string

  /** `mark` is what its environment has and no other one: NAME=VALUE. */
  constructor(pid: number | undefined, ownsGroup: boolean, hasExited: () => boolean, mark: string) {
    this.pid = pid
    this.ownsGroup = ownsGroup
    this.hasExited = hasExited
    this.mark = mark
  }

  /** Signals the group of the program, or where the group is ours the program alone. */
  signal(name: NodeJS.Signals): void {
    if (this.pid === undefined) return
    if (this.ownsGroup) kill(-this.pid, name)
    else if (!this.hasExited()) kill(this.pid, name)
  }

  /** Signals all its processes. */
  stop(name: NodeJS.Signals): void {
    if (this.pid === undefined) return
    // Before the signal: the children of a process that has ended have another parent.
    this.add(startedBy([this.pid, ...this.stopped.keys()]))
    this.signal(name)
    // After it, for it takes longer.
    const left = leftWith(this.mark).filter((one) => one !== this.pid)
    this.add([...left, ...startedBy(left)])
    for (const one of this.stopped.keys()) {
      const isInGroup = this.ownsGroup && stateOf(one)?.group === this.pid
      if (!isInGroup && this.isSame(one)) kill(one, name)
    }
  }

  /** Returns whether one of them is left, of those that it had when it was stopped. */
  isLeft(): boolean {
    const hasGroup = this.ownsGroup && this.pid !== undefined && kill(-this.pid, 0)
    return hasGroup || [...this.stopped.keys()].some((one) => this.isSame(one))
  }

  private add(pids: Iterable<number>): void {
    for (const one of pids) {
      const state = stateOf(one)
      if (state !== undefined && !this.stopped.has(one)) this.stopped.set(one, state.begun)
    }
  }

  private isSame(pid: number): boolean {
    const state = stateOf(pid)
    return state !== undefined && !state.isZombie && state.begun === this.stopped.get(pid)
  }
}

/** Returns whether there was a process to signal. */
const kill = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** Returns the processes that these have started, directly or not. */
const startedBy = (pids: ReadonlyArray<number>): ReadonlySet<number> => {
  const found = new Set<number>()
  const waiting = [...pids]
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    for (const child of childrenOf(pid)) {
      if (!found.has(child)) waiting.push(child)
      found.add(child)
    }
  }
  return found
}

/** Returns those with the mark whose parent has ended: the system has made them children of one of our ancestors, or ours. */
const leftWith = (mark: string): ReadonlyArray<number> =>
  isLinux ? lineage().flatMap((pid) => childrenOf(pid).filter((child) => isMarked(child, mark))) : []

/** Returns us and our ancestors. */
const lineage = (): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let pid = process.pid; pid > 0 && !found.includes(pid); pid = stateOf(pid)?.parent ?? 0) found.push(pid)
  return found
}

const isMarked = (pid: number, mark: string): boolean => {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark)
  } catch {
    return false
  }
}

const isLinux = process.platform === "linux"

const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    const tasks = isLinux ? fs.readdirSync(`/proc/${pid}/task`) : []
    const lists = isLinux
      ? tasks.map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/children`, "utf8"))
      : [outputOf("/usr/bin/pgrep", "-P", String(pid))]
    return lists.join(" ").split(/\s+/).filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Returns undefined if there is no such process. */
const stateOf = (pid: number): ProcessState | undefined => {
  try {
    const line = isLinux
      ? fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "")
      : outputOf("/bin/ps", "-o", "state=,ppid=,pgid=,lstart=", "-p", String(pid))
    const [state = "", parent, group, ...more] = line.trim().split(/\s+/)
    if (group === undefined) return undefined
    // On Linux, the twentieth field after the name.
    const begun = isLinux ? (more[16] ?? "") : more.join(" ")
    return { parent: Number(parent), group: Number(group), begun, isZombie: state.startsWith("Z") }
  } catch {
    return undefined
  }
}

const outputOf = (tool: string, ...args: ReadonlyArray<string>): string =>
  spawnSync(tool, args, { encoding: "utf8", timeout: 500 }).stdout
