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
/** The most processor time that a command takes, in runs of `version`. */
const workOf = 4
/** Of each of two kinds. */
const workers = 6

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

interface Wrong {
  readonly what: string
  readonly isLate?: true
}

/** Returns what is wrong, or nothing. */
const judge = async (home: string, tried: Tried): Promise<Wrong | undefined> => {
  const { ended, took } = tried
  const said = ended.stdout + ended.stderr
  if (/^ {4}at /m.test(said)) return { what: `a stack trace: ${said}` }
  if (said.includes("a-made-up-value") && ended.status !== 0) return { what: "a value beside a failure" }
  if (ended.status !== 0 && said === "") return { what: `nothing was said, status ${ended.status} ${ended.signal}` }
  if (took <= limit) return undefined
  const control = await tryLine(home, line("version"))
  const allowed = limit + workOf * control.took
  if (took <= allowed) return undefined
  const times = `${Math.round(took)} ms, ${Math.round(control.took)} ms for version`
  return { what: `${times}; status ${ended.status}: ${said.slice(0, 300)}`, isLate: true }
}

/** What the lines need beside the store. */
const project = (home: string): void => {
  fs.writeFileSync(`${home}/vars`, "A=1\nB=2\n")
  fs.writeFileSync(`${home}/template`, "x={{ db }}\n")
}

/** Makes a bad daemon in a home, calls `use`, and removes both; undefined where it cannot be made. */
const withBadDaemon = async <A>(kind: string, use: (home: string) => Promise<A>): Promise<A | undefined> => {
  const home = temporaryHome()
  try {
    project(home)
    const bad = await badDaemons[kind]?.(home)
    if (bad === undefined) return undefined
    try {
      return await use(home)
    } finally {
      await bad.end()
    }
  } finally {
    fs.rmSync(home, { recursive: true, force: true })
  }
}

const tryKind = async (
  kind: string,
  lines: ReadonlyArray<Line>,
  { log }: ScenarioOptions
): Promise<Row | undefined> => {
  const begun = performance.now()
  let [failed, slowest] = [0, 0]
  const tryOnce = async (home: string, one: Line): Promise<Wrong | undefined> => {
    const tried = await tryLine(home, one)
    slowest = Math.max(slowest, tried.took)
    return judge(home, tried)
  }
  const tryAlone = (one: Line) => withBadDaemon(kind, (home) => tryOnce(home, one))
  const row = await withBadDaemon(kind, async (home) => {
    // Each of the lines that need a daemon of their own takes longest.
    const rest = [...lines].toSorted((one, other) => Number(other.alone ?? false) - Number(one.alone ?? false))
    const work = async () => {
      for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
        const one = next
        const attempt = () => (one.alone === true ? tryAlone(one) : tryOnce(home, one))
        const first = await attempt()
        // Another program may have had the processors: what is late by itself is late again.
        const wrong = first?.isLate === true ? await attempt() : first
        if (wrong === undefined) continue
        failed += 1
        log(`${kind}: ${one.words.join(" ")}: ${wrong.what}`)
      }
    }
    await Promise.all(Array.from({ length: workers }, work))
    const seconds = Math.round((performance.now() - begun) / 1000)
    return { what: kind, tried: lines.length, failed, stats: `slowest ${Math.round(slowest)} ms, ${seconds} s in all` }
  })
  log(
    row === undefined ? `${kind}: cannot be made here` : `${kind}: ${row.tried} tried, ${failed} failed, ${row.stats}`
  )
  return row
}

export const scenario: Scenario = {
  promise: "every command says everything within four seconds, whatever the daemon does",
  rounds: 1,
  run: async (options) => {
    const named = new Set(commandLines.map(({ words }) => words[0]))
    const missing = Object.keys(commands).filter((name) => !named.has(name))
    const words = process.env["LINES"]
    const lines = commandLines.filter((one) => words === undefined || one.words.join(" ").startsWith(words))
    const kinds = process.env["PARTS"]?.split(",") ?? Object.keys(badDaemons)
    const end = busyLoops(Number(process.env["BUSY"] ?? 4))
    try {
      const rows: Array<Row> = [{ what: "commands without a line", tried: named.size, failed: missing.length }]
      const lane = async () => {
        for (let kind = kinds.shift(); kind !== undefined; kind = kinds.shift())
          rows.push(...[(await tryKind(kind, lines, options)) ?? []].flat())
      }
      // Most of the time is waiting.
      await Promise.all([lane(), lane()])
      return rows
    } finally {
      end()
    }
  }
}
