/**
 * Asks a Mac everything that this project assumes of it, and records the answers:
 *
 *     node scripts/macCheck.ts --program ~/.local/bin/secrets --record DIRECTORY [--system]
 *
 * It installs and removes the service, and uses ~/.agent-secrets; so it refuses where either
 * exists. `--system` also makes an account and a service of the system, by sudo. `--run` is the
 * command line that runs PROGRAM, by default this Node. record.md has each command, its exit
 * status and its output; record.json the same as data. The exit status is 0 only if every
 * expectation held.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { launchdLabel } from "../src/service/ServiceOptions.ts"
import { type MacStep, macSteps } from "./macSteps.ts"

const { values } = parseArgs({
  options: {
    program: { type: "string" },
    record: { type: "string", default: "mac-record" },
    run: { type: "string", default: `'${process.execPath}'` },
    system: { type: "boolean", default: false }
  }
})

interface Recorded {
  readonly name: string
  readonly line: string
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
  /** Whether it is what was expected; undefined where nothing was. */
  readonly held: boolean | undefined
}

const print = (text: string) => void process.stdout.write(`${text}\n`)
const fail = (text: string): never => {
  process.stderr.write(`macCheck: ${text}\n`)
  return process.exit(2)
}

const home = os.homedir()
const domain = `gui/${process.getuid?.()}`
const plist = path.join(home, `Library/LaunchAgents/${launchdLabel}.plist`)
const state = path.join(home, ".agent-secrets")
const program =
  values.program === undefined ? fail("--program is needed: the installed secrets") : fs.realpathSync(values.program)
for (const file of [plist, state]) {
  if (fs.existsSync(file)) fail(`${file} exists already, and this would change it; use another account`)
}
fs.mkdirSync(values.record, { recursive: true })
const work = fs.mkdtempSync(path.join(os.tmpdir(), "mac-check-"))

const run = ({ line, name, output, status }: MacStep): Recorded => {
  const from = performance.now()
  const ended = spawnSync("/bin/bash", ["-c", `secrets() { ${values.run} "$PROGRAM" "$@"; }\n${line}`], {
    cwd: work,
    encoding: "utf8",
    env: {
      ...process.env,
      TARGET: `${domain}/${launchdLabel}`,
      DOMAIN: domain,
      PLIST: plist,
      LOG: path.join(home, "Library/Logs/agent-secrets.log"),
      PROGRAM: program,
      CHECKOUT: path.resolve(import.meta.dirname, "..")
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 180_000
  })
  const isRight = status === undefined || (ended.status !== null && status.includes(ended.status))
  const held =
    status === undefined && output === undefined
      ? undefined
      : isRight && (output === undefined || output.test(ended.stdout + ended.stderr))
  const seconds = Math.round(performance.now() - from) / 1000
  return { name, line, status: ended.status, stdout: ended.stdout, stderr: ended.stderr, seconds, held }
}

const asText = ({ held, line, name, seconds, status, stderr, stdout }: Recorded): string => {
  const block = (title: string, text: string) => (text === "" ? [] : [`${title}:`, "```", text.trimEnd(), "```"])
  const verdict = held === undefined ? "" : held ? ", as expected" : ", NOT AS EXPECTED"
  return [
    `## ${name}`,
    "",
    ...block("command", line),
    `exit status ${status}${verdict}, after ${seconds} s`,
    "",
    ...block("stdout", stdout),
    ...block("stderr", stderr),
    ""
  ].join("\n")
}

const recorded: Array<Recorded> = []
for (const step of macSteps.filter(({ part }) => part === "user" || values.system)) {
  const one = run(step)
  recorded.push(one)
  print(asText(one))
  fs.writeFileSync(path.join(values.record, "record.md"), recorded.map(asText).join("\n"))
  fs.writeFileSync(path.join(values.record, "record.json"), `${JSON.stringify(recorded, undefined, 2)}\n`)
}
for (const made of [work, state]) fs.rmSync(made, { recursive: true, force: true })

const broken = recorded.filter(({ held }) => held === false)
print(`${recorded.length} steps, ${broken.length} not as expected; the record is in ${values.record}`)
for (const { name } of broken) print(`  ${name}`)
process.exit(broken.length === 0 ? 0 : 1)
