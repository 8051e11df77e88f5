/**
 * Every command beside every kind of bad daemon, on a busy machine: whatever it has to say is said
 * within four seconds, because callers end a command after five.
 *
 * A command that is late is compared with `secrets version`, which does nothing, directly afterwards.
 */
import * as fs from "node:fs"
import { commands } from "../../src/cli/commands.ts"
import { type Ended, pause, start } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"
import { badDaemons, busyLoops } from "./deadline/badDaemons.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

/** In milliseconds. */
const limit = 4_000
/** What runs longer is killed. */
const hang = 40_000

interface Line {
  readonly words: ReadonlyArray<string>
  readonly stdin?: string
  /** It does not end by itself: its first words count. */
  readonly runsOn?: true
  /** It waits for a process to end: its first words count. */
  readonly waits?: true
  /** It ends or replaces the daemon, so it has one of its own. */
  readonly alone?: true
}

const line = (text: string, more: Omit<Line, "words"> = {}): Line => ({ words: text.split(" "), ...more })

/** At least one line of each command. */
export const commandLines: ReadonlyArray<Line> = [
  line("init", { alone: true }),
  line("serve", { alone: true, runsOn: true }),
  line("add new", { stdin: "made up" }),
  line("add db", { stdin: "made up" }),
  line("add --from-env vars"),
  line("update db", { stdin: "made up" }),
  line("delete db --yes"),
  line("delete nope"),
  line("lease db"),
  line("lease nope"),
  line("lease db --json"),
  line("revoke nope"),
  line("revoke --all"),
  line("revoke --all --rotate"),
  line("revoke --all --drill"),
  line("revoke --client-id other --wait 1s"),
  line("runs"),
  line("leases"),
  line("list"),
  line("show db"),
  line("show nope"),
  line("backup copy.age --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kdru36qtqf6llxc"),
  line("restore vars"),
  line("env --secret db --file .env"),
  line("env --secret db --format json"),
  line("exec --secret db -- true"),
  line("exec --secret nope -- true"),
  line("exec --secret db --require-daemon -- true"),
  line("exec --proxy x=db -- true"),
  line("inject -i template"),
  line("inject -i template -o out"),
  line("helper print db"),
  line("helper git get", { stdin: "protocol=https\nhost=example.com\n\n" }),
  line("helper config print db"),
  line("allow"),
  line("disallow"),
  line("requests"),
  line("approve KQTR"),
  line("approve --revoke other db"),
  line("deny KQTR"),
  line("policy"),
  line("policy explain db"),
  line("mcp", {
    stdin:
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}\n'
  }),
  line("mcp config cursor --project . --secret db"),
  line("proxy"),
  line("proxy check x GET /"),
  line("exposure db"),
  line("exposure --since 1h"),
  line("rotate db"),
  line("rotate --all", { waits: true }),
  line("health"),
  line("scan"),
  line("cleanup --dry-run"),
  line("team"),
  line("daemon status"),
  line("daemon stop", { alone: true, waits: true }),
  line("daemon restart", { alone: true }),
  line("daemon start", { alone: true }),
  line("daemon logs"),
  line("status"),
  line("status --json"),
  line("status --metrics"),
  line("doctor"),
  line("doctor --report"),
  line("audit"),
  line("audit --verify"),
  line("audit --accept"),
  line("completions --names secret"),
  line("completions bash"),
  line("version"),
  // Last: a locked store refuses most of the others.
  line("unlock"),
  line("lock")
]

interface Tried {
  readonly ended: Ended
  readonly took: number
}

/** Runs one line in the project of a home. */
const tryLine = async (home: string, { runsOn, stdin = "", waits, words }: Line): Promise<Tried> => {
  const begun = performance.now()
  const started = start(words, { home, stdin, through: 'cd "$HOME" && exec "$@"', env: { LOGNAME: "nobody" } })
  const hasEnded = { yes: false }
  const ended = started.ended.finally(() => (hasEnded.yes = true))
  const hasSpoken = () => started.stderr() + started.stdout() !== ""
  const isOver = () => hasEnded.yes || ((runsOn ?? waits) === true && hasSpoken())
  while (!isOver() && performance.now() - begun < hang) await pause(5)
  const took = performance.now() - begun
  if (!hasEnded.yes) started.child.kill(runsOn === true && took < hang ? "SIGTERM" : "SIGKILL")
  return { ended: await ended, took }
}

/** Returns what is wrong, or nothing. */
const judge = async (home: string, tried: Tried): Promise<string | undefined> => {
  const { ended, took } = tried
  const said = ended.stdout + ended.stderr
  if (/^ {4}at /m.test(said)) return `a stack trace: ${said}`
  if (said.includes("a-made-up-value") && ended.status !== 0) return "a value beside a failure"
  if (ended.status !== 0 && said === "") return `nothing was said, status ${ended.status} ${ended.signal}`
  if (took <= limit) return undefined
  const control = await tryLine(home, line("version"))
  const allowed = limit + 2 * control.took
  if (took <= allowed) return undefined
  return `${Math.round(took)} ms, ${Math.round(control.took)} ms for version; status ${ended.status}: ${said.slice(0, 300)}`
}

/** What the lines need beside the store. */
const project = (home: string): void => {
  fs.writeFileSync(`${home}/vars`, "A=1\nB=2\n")
  fs.writeFileSync(`${home}/template`, "x={{ db }}\n")
}

const tryKind = async (
  kind: string,
  lines: ReadonlyArray<Line>,
  { log }: ScenarioOptions
): Promise<Row | undefined> => {
  const make = badDaemons[kind]
  const [home, begun] = [temporaryHome(), performance.now()]
  project(home)
  const bad = await make?.(home)
  if (bad === undefined) return undefined
  let [failed, slowest] = [0, 0]
  try {
    const rest = [...lines]
    const work = async () => {
      for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
        const tried = await tryLine(home, next)
        slowest = Math.max(slowest, tried.took)
        const wrong = await judge(home, tried)
        if (wrong === undefined) continue
        failed += 1
        log(`${kind}: ${next.words.join(" ")}: ${wrong}`)
      }
    }
    await Promise.all(Array.from({ length: 6 }, work))
  } finally {
    await bad.end()
    fs.rmSync(home, { recursive: true, force: true })
  }
  const seconds = Math.round((performance.now() - begun) / 1000)
  return { what: kind, tried: lines.length, failed, stats: `slowest ${Math.round(slowest)} ms, ${seconds} s in all` }
}

export const scenario: Scenario = {
  promise: "every command says everything within four seconds, whatever the daemon does",
  rounds: 1,
  run: async (options) => {
    const named = new Set(commandLines.map(({ words }) => words[0]))
    const missing = Object.keys(commands).filter((name) => !named.has(name))
    const only = process.env["PARTS"]?.split(",")
    const words = process.env["LINES"]
    const end = busyLoops(Number(process.env["BUSY"] ?? 4))
    try {
      const rows: Array<Row> = [{ what: "commands without a line", tried: named.size, failed: missing.length }]
      for (const kind of only ?? Object.keys(badDaemons)) {
        const lines = commandLines.filter((one) => words === undefined || one.words.join(" ").startsWith(words))
        const rowOf = (some: ReadonlyArray<Line>) => tryKind(kind, some, options)
        for (const some of [lines.filter((one) => !one.alone), ...lines.filter((one) => one.alone).map((one) => [one])])
          rows.push(...[(some.length > 0 && (await rowOf(some))) || []].flat())
      }
      return rows
    } finally {
      end()
    }
  }
}
