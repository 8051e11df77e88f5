/**
 * Random project files of a cloned repository, used by each command without consent. Nothing is
 * leased, nothing is written and nothing runs, and the terminal gets no control character.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../../harness/connection.ts"
import { auditOf, launch, untilReady } from "../../harness/daemon.ts"
import { start } from "../../harness/program.ts"
import { runInTerminal } from "../../harness/terminal.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

/** Ranges that a terminal obeys, hides or reorders, or that are no characters at all. */
const ranges = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe007f]
] as const
const sequences = [
  "\u001b]52;c;eA==\u0007",
  "\u001b[2J",
  "\u001b]0;x\u001b\\",
  "\u009b31m",
  "\r\n",
  "\\x1b[2J",
  "[y/N] "
]

/** Any of them in the output of a command, except the line ends of a terminal. */
const raw = /(?!\r?\n)[\p{C}\p{Zl}\p{Zp}]/u

const hostileText = (random: Random): string =>
  Array.from({ length: 1 + random.below(8) }, () => {
    const [from, to] = random.pick(ranges)
    const one = String.fromCodePoint(from + random.below(to - from + 1))
    return random.pick([one, one, random.pick(sequences), "db", "a b"])
  }).join("")

const hostileName = (random: Random): string =>
  hostileText(random).toWellFormed().replace(/[\0/]/g, "-").slice(0, 40).toWellFormed()

/** Mostly valid, so that it comes as far as the question. */
const projectFrom = (random: Random, outside: string): string => {
  const text = () => (random.next() < 0.7 ? hostileText(random) : "db")
  const variable = () => random.pick(["A", "DB", "PATH", "LD_PRELOAD", "NODE_OPTIONS", "GIT_DIR", hostileText(random)])
  const envFile = random.pick([
    "../stolen",
    path.join(outside, "stolen"),
    ".env.link",
    "link/.env",
    `.env${hostileName(random)}`,
    "..",
    ".git/hooks/pre-commit",
    "./.env/../../stolen"
  ])
  const project =
    random.next() < 0.6
      ? {
          secrets: Array.from({ length: random.below(4) }, (_, n) => ({
            name: random.pick(["db", text()]),
            env_var: random.next() < 0.8 ? `V${n}` : variable()
          })),
          client_id: text(),
          ...(random.next() < 0.3 ? { ttl: random.pick(["1h", text()]) } : {})
        }
      : {
          source: random.pick(["vercel", "vercel", "vercel", text()]),
          project: text(),
          scope: random.pick(["production", "production", text()]),
          ttl: "1h",
          required_vars: random.next() < 0.3 ? [variable()] : [],
          env_file: envFile
        }
  const whole = JSON.stringify(random.next() < 0.1 ? { ...project, [text()]: text() } : project)
  // Escapes of JSON as they are, and the characters themselves.
  return random.next() < 0.05 ? whole.slice(0, random.below(whole.length)) : whole
}

type Way = readonly [words: string, isTerminal: boolean]

/** Each without consent; on a terminal, the answer is no. */
const ways: ReadonlyArray<Way> = [
  ["env --dry-run", true],
  ["env", true],
  ["exec -- touch ran", true],
  ["allow --dry-run", true],
  ["env --dry-run", false],
  ["env --dry-run --json", false],
  ["env --force", false],
  ["env --json", false],
  ["exec -- touch ran", false],
  ["exec --json -- touch ran", false]
]

/** The contents of every file below a directory, and where its links lead. */
const contentsOf = (directory: string): string =>
  fs
    .readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const file = path.join(directory, name)
      const status = fs.lstatSync(file)
      if (status.isSymbolicLink()) return `${file} ${fs.readlinkSync(file)}`
      return `${file} ${status.isFile() ? fs.readFileSync(file, "hex") : ""}`
    })
    .toSorted()
    .join("\n")

export const hostileProjects = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const outside = path.join(home, "outside")
  const mark = path.join(home, "ran")
  const clean = new Tally("project files without consent: no character that a terminal obeys", log)
  const untouched = new Tally("… nothing leased, written or run", log)
  const target = launch({ home })
  try {
    await untilReady(target)
    const owner = new Client(target.socket)
    await owner.ask("add", { name: "db", value: "made-up-value" })
    owner.close()
    for (let round = 0; round < rounds; round += 1) {
      const project = path.join(outside, `p${round}${random.next() < 0.5 ? hostileName(random) : ""}`)
      const bin = path.join(project, "node_modules/.bin")
      fs.mkdirSync(bin, { recursive: true })
      for (const file of [path.join(bin, "vercel"), path.join(project, "vercel")])
        fs.writeFileSync(file, `#!/bin/sh\ntouch '${mark}'\n`, { mode: 0o755 })
      fs.symlinkSync(outside, path.join(project, "link"))
      fs.symlinkSync(path.join(outside, "stolen"), path.join(project, ".env.link"))
      fs.writeFileSync(path.join(project, ".secrets.json"), projectFrom(random, outside))
      const before = contentsOf(outside)
      const [words, isTerminal] = random.pick(ways)
      const env = { PROJECT: project, PATH: "node_modules/.bin:.:/usr/bin:/bin" }
      const ended = isTerminal
        ? await runInTerminal(words, home, "n\n", project)
        : await start(words.split(" "), { home, env, through: 'cd "$PROJECT" && exec "$@"' }).ended
      const shown = "shown" in ended ? ended.shown : ended.stdout + ended.stderr
      const text = fs.readFileSync(path.join(project, ".secrets.json"), "utf8")
      const about = () => `round ${round}: ${words}${isTerminal ? " on a terminal" : ""}: ${text}`
      clean.check(shown !== "" && !raw.test(shown), () => `${about()} printed ${JSON.stringify(shown)}`)
      const leased = auditOf(target.directory).filter(({ action }) => action.startsWith("lease_"))
      const faults = [
        leased.length > 0 ? JSON.stringify(leased) : "",
        contentsOf(outside) === before ? "" : "files were changed",
        fs.existsSync(mark) ? "its program ran" : ""
      ].filter((fault) => fault !== "")
      untouched.check(faults.length === 0, () => `${about()}: ${faults.join(", ")}`)
      fs.rmSync(project, { recursive: true, force: true })
      fs.rmSync(mark, { force: true })
    }
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [clean.row(), untouched.row()]
}
