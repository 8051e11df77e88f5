/**
 * launchctl's answers as recorded on Macs: for each call the exit status, the texts, and what it
 * changes. One table serves the fake that runs a daemon (`launchctl.ts`) and the one in memory
 * (`launchdModel.ts`). It has no imports, because the first is a process for each call.
 */

export interface LaunchctlAnswer {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** What launchd knows, and how it behaves. */
export interface LaunchdState {
  /** The contents of the property list that is loaded. */
  loaded: string | undefined
  /** Its process, if that is known. */
  pid: number | undefined
  /** What `print` reports of a loaded job. */
  job: JobCondition
  /** How often `print` still has a job after a bootout, because bootout returns before the job is gone. */
  lingers: number
  /** So many of these reports are left; undefined if no job is ending. */
  leaving: number | undefined
  /** Milliseconds in which `bootstrap` refuses a job that was booted out, though `print` no longer has it. */
  cleanup: number
  /** When that ends. It begins with the first refusal, so that a slow machine does not shorten it. */
  cleanUntil: number | "unknown" | undefined
  /** The status of that refusal: 5, or 17 and 37 on older systems. */
  refusal: 5 | 17 | 37
  /** Whether the label is disabled; only `disable` is undone by `enable`, and not the switch in Login Items. */
  disabled: false | "disable" | "Login Items"
  /** Whether the user has a session on the screen. */
  hasDomain: boolean
  /** How many calls of `kickstart -k` fail, as they do now and then on macOS 26. */
  failingRestarts: number
}

export const emptyLaunchd: LaunchdState = {
  loaded: undefined,
  pid: undefined,
  job: "running",
  lingers: 0,
  leaving: undefined,
  cleanup: 0,
  cleanUntil: undefined,
  refusal: 5,
  disabled: false,
  hasDomain: true,
  failingRestarts: 0
}

/** The properties of a job in the output of `print`, by what became of it. */
const jobs = {
  running: ["state = running", "runs = 1", "last exit code = (never exited)"],
  "running again": ["state = running", "runs = 3", "last terminating signal = Terminated: 15"],
  "being spawned": ["state = xpcproxy", "runs = 2", "last exit code = 1"],
  "crash loop": ["state = spawn scheduled", "runs = 5", "last exit code = 5"],
  "program missing": [
    "state = spawn scheduled",
    "runs = 4",
    "last exit code = 78: EX_CONFIG",
    "job state = spawn failed"
  ],
  "setting invalid": ["state = spawn scheduled", "runs = 4", "last exit code = 78: EX_CONFIG"],
  "bad signature": ["state = spawn scheduled", "runs = 2380", "last exit reason = OS_REASON_CODESIGNING"],
  "never started": ["state = not running", "runs = 0", "last exit code = (never exited)"]
} satisfies Record<string, ReadonlyArray<string>>

export type JobCondition = keyof typeof jobs
export const jobConditions: ReadonlyArray<JobCondition> = Object.keys(jobs).filter((name): name is JobCondition =>
  Object.hasOwn(jobs, name)
)

const isRunning = ({ job }: LaunchdState): boolean => job === "running" || job === "running again"

/** The output of `print`. Nested blocks have properties of the same names, two tabs deep. */
const printed = (state: LaunchdState, target: string): string => {
  const { job, pid } = state
  const [first, ...others] = jobs[job].map((line) => `\t${line}`)
  return [
    `${target} = {`,
    "\tactive count = 1",
    "\ttype = LaunchAgent",
    first,
    "",
    "\tdefault environment = {",
    "\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin",
    "\t}",
    "\tminimum runtime = 10",
    "\texit timeout = 5",
    ...(isRunning(state) && pid !== undefined ? [`\tpid = ${pid}`] : []),
    ...others,
    "\tresource coalition = {",
    "\t\tstate = active",
    "\t\tpid = 1",
    "\t}",
    "\tspawn type = interactive (4)",
    "\tproperties = keepalive | runatload",
    "}",
    ""
  ].join("\n")
}

interface Call {
  readonly words: ReadonlyArray<string>
  readonly state: LaunchdState
  readonly now: number
}

interface Row {
  /** The first words of the call; undefined matches all. */
  readonly call: ReadonlyArray<string> | undefined
  readonly when?: (call: Call) => boolean
  readonly status: number | ((call: Call) => number)
  readonly stderr?: (call: Call) => string
  readonly stdout?: (call: Call) => string
  readonly change?: (call: Call) => void
}

const badRequest = "Bad request."
const unknownDomain = () => `${badRequest}\nCould not find domain for user gui: 501\n`
const unknownService = () =>
  `${badRequest}\nCould not find service "dev.agent-secrets.daemon" in domain for user gui: 501\n`

const reasons = { 5: "Input/output error", 17: "File exists", 37: "Operation already in progress" }
const refused = ({ state }: Call): string =>
  `Bootstrap failed: ${state.refusal}: ${reasons[state.refusal]}\nTry re-running the command as root for richer errors.\n`

const isUnloaded = ({ state }: Call): boolean => state.loaded === undefined
const isCleanedUp = ({ now, state }: Call): boolean => {
  if (state.cleanUntil === "unknown") state.cleanUntil = now + state.cleanup
  return state.cleanUntil === undefined || now >= state.cleanUntil
}

const forget = (state: LaunchdState): void => {
  Object.assign(state, { loaded: undefined, pid: undefined, leaving: undefined, cleanUntil: "unknown" })
}

/** The first row that fits answers. */
const table: ReadonlyArray<Row> = [
  {
    call: ["print-disabled"],
    status: 0,
    stdout: ({ state }) =>
      `disabled services = {\n${state.disabled === false ? "" : '\t\t"dev.agent-secrets.daemon" => disabled\n'}\t}\n`
  },
  {
    call: ["bootstrap"],
    when: ({ state }) => !state.hasDomain,
    status: 125,
    stderr: () => "Bootstrap failed: 125: Domain does not support specified action\n"
  },
  { call: undefined, when: ({ state }) => !state.hasDomain, status: 112, stderr: unknownDomain },
  { call: ["print"], when: isUnloaded, status: 113, stderr: unknownService },
  {
    call: ["print"],
    status: 0,
    stdout: ({ state, words }) => printed(state, words[1] ?? ""),
    change: ({ state }) => {
      if (state.leaving === undefined) return
      state.leaving -= 1
      if (state.leaving <= 0) forget(state)
    }
  },
  { call: ["enable"], status: 0, change: ({ state }) => state.disabled === "disable" && (state.disabled = false) },
  { call: ["disable"], status: 0, change: ({ state }) => (state.disabled ||= "disable") },
  {
    call: ["bootstrap"],
    when: ({ state }) => state.disabled !== false,
    status: 119,
    stderr: () => "Bootstrap failed: 119: Service is disabled\n"
  },
  {
    call: ["bootstrap"],
    when: (call) => !isUnloaded(call) || !isCleanedUp(call),
    status: ({ state }) => state.refusal,
    stderr: refused
  },
  { call: ["bootstrap"], status: 0, change: ({ state }) => (state.cleanUntil = undefined) },
  {
    call: ["bootout", "--wait"],
    status: 64,
    stderr: () => "Unrecognized target specifier.\nUsage: launchctl bootout <domain-target> [service-path…]\n"
  },
  {
    call: ["bootout"],
    when: (call) => isUnloaded(call) && call.words.length > 2,
    status: 5,
    stderr: () => "Boot-out failed: 5: Input/output error\n"
  },
  { call: ["bootout"], when: isUnloaded, status: 3, stderr: () => "Boot-out failed: 3: No such process\n" },
  {
    call: ["bootout"],
    status: 0,
    change: ({ state }) => {
      if (state.lingers > 0) state.leaving = state.lingers
      else forget(state)
    }
  },
  { call: ["kickstart"], when: isUnloaded, status: 113, stderr: unknownService },
  {
    call: ["kickstart", "-k"],
    when: ({ state }) => state.failingRestarts > 0,
    status: 5,
    change: ({ state }) => (state.failingRestarts -= 1)
  },
  { call: ["kickstart", "-k"], status: 0 },
  { call: ["kickstart"], when: ({ state }) => isRunning(state), status: 37 },
  { call: ["kickstart"], status: 0 },
  {
    call: undefined,
    status: 64,
    stderr: ({ words }) => `Unrecognized subcommand: ${words[0] ?? ""}\nUsage: launchctl <subcommand> …\n`
  }
]

/** Answers a call, and changes the state. `read` returns the property list that `bootstrap` loads. */
export const answerLaunchctl = (
  words: ReadonlyArray<string>,
  state: LaunchdState,
  now: number,
  read: (file: string) => string
): LaunchctlAnswer => {
  const call: Call = { words, state, now }
  const row = table.find(
    (one) => (one.call ?? []).every((word, at) => words[at] === word) && (one.when === undefined || one.when(call))
  )
  if (row === undefined) throw new Error("the last row fits every call")
  const answer = {
    status: typeof row.status === "number" ? row.status : row.status(call),
    stdout: row.stdout?.(call) ?? "",
    stderr: row.stderr?.(call) ?? ""
  }
  row.change?.(call)
  if (words[0] === "bootstrap" && answer.status === 0) state.loaded = read(words[2] ?? "")
  return answer
}
