/**
 * Attacks by what a stranger can choose: names that write to the terminal, and a repository
 * whose settings name programs. Chance combines them.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../src/domain/escape.ts"
import { Connection, requestLine } from "../harness/connection.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { start } from "../harness/program.ts"
import { choices, configLine, settings } from "../support/gitSettings.ts"
import type { Random } from "../support/random.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Scenario } from "./Scenario.ts"

/** Returns every broken promise of one round. */
type Attack = (random: Random) => Promise<ReadonlyArray<string>>

const raw = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u
const pieces = [
  "\u001b]52;c;eA==\u0007",
  "\u001b[2J",
  "\u009b1m",
  "\u007f",
  "\u202e",
  "\u2066",
  "\u200d",
  "\ufeff",
  "\ufe0f",
  "\u{e0041}",
  "\u2028",
  "\u2029",
  "\n",
  "\r",
  "\t",
  "\u00ad",
  "\ue000",
  "\u00a0",
  "\u3164",
  "\\",
  "\\\\",
  '"',
  "n",
  "x1b",
  "u202e",
  "U000e0041",
  "a",
  "é",
  "日本",
  "🔑",
  " ",
  "$&",
  "%s",
  "'"
]
const nameFrom = (random: Random): string =>
  Array.from({ length: 1 + random.below(8) }, () => random.pick(pieces)).join("")

/** Names of secrets and clients reach the terminal visibly, and programs unchanged. */
const names: Attack = async (random) => {
  const home = temporaryHome()
  const daemon = await untilReady(launch({ home }))
  const connection = new Connection(daemon.socket)
  const given = [...new Set(Array.from({ length: 12 }, () => nameFrom(random)))]
  for (const name of given) {
    await connection.ask(requestLine("secrets.add", { name, value: "x" }))
    await connection.ask(requestLine("secrets.lease", { secret_name: name, client_id: nameFrom(random) }))
  }
  const faults: Array<string> = []
  for (const args of [
    ["list"],
    ["leases"],
    ["audit"],
    ["status", "--metrics"],
    ["list", "--json"],
    ["audit", "--json"]
  ]) {
    const { stderr, stdout } = await start(args, { home }).ended
    if (raw.test(stdout + stderr))
      faults.push(`${args.join(" ")} printed ${JSON.stringify(raw.exec(stdout + stderr)?.[0])}`)
    if (args.join() === "list") {
      // The last columns are numbers.
      const shown = stdout.split("\n").map((line) => line.replace(/ +\d+$/, ""))
      for (const name of given)
        if (!shown.includes(escapeValue(name).trimEnd())) faults.push(`list did not show ${JSON.stringify(name)}`)
    }
    if (args.join() === "list,--json") {
      const { secrets } = JSON.parse(stdout).result
      const listed = new Set(secrets.map(({ name }: { readonly name: string }) => name))
      for (const name of given) if (!listed.has(name)) faults.push(`list --json changed ${JSON.stringify(name)}`)
    }
  }
  connection.socket.destroy()
  await daemon.end("SIGTERM")
  if (raw.test(daemon.stderr())) faults.push("the daemon logged a raw character")
  fs.rmSync(home, { recursive: true, force: true })
  return faults
}

/** A scan runs none of a repository's programs, writes nothing there, and finds what is staged. */
const repository: Attack = async (random) => {
  const root = temporaryHome()
  const [tree, mark, program] = ["tree", "mark", "program"].map((name) => path.join(root, name))
  if (tree === undefined || mark === undefined || program === undefined) return []
  fs.mkdirSync(path.join(tree, "sub"), { recursive: true })
  fs.writeFileSync(program, `#!/bin/sh\necho "$0 $*" >>'${mark}'\nexit 1\n`, { mode: 0o755 })
  const git = (...args: ReadonlyArray<string>) => spawnSync("git", args, { cwd: tree })
  git("init", "-q")
  const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")
  fs.writeFileSync(path.join(tree, "staged.txt"), `${token}\n`)
  git("add", ".")
  const chosen = [...settings, ...choices].filter(() => random.below(3) === 0)
  const text = chosen.map((line) => configLine(line.replaceAll("PROGRAM", program).replaceAll("HIDING", program)))
  fs.appendFileSync(path.join(tree, ".git/config"), text.join(""))
  fs.writeFileSync(path.join(tree, ".gitattributes"), "* -diff filter=evil diff=evil\n")
  const state = () => spawnSync("find", [tree, "-printf", "%p %T@ %s\n"]).stdout.toString()
  const before = state()
  const faults: Array<string> = []
  for (const [directory, ...args] of [
    ["", "scan"],
    ["", "scan", "--staged"],
    ["sub", "scan", "--staged"]
  ]) {
    const through = `cd '${path.join(tree, directory ?? "")}' && exec "$@"`
    const { stdout } = await start([...args, "--no-own"], { home: root, through }).ended
    if (!stdout.includes("staged.txt:1 ")) faults.push(`${args.join(" ")} in ${directory}: ${stdout}`)
  }
  if (fs.existsSync(mark)) faults.push(`it ran ${fs.readFileSync(mark, "utf8")}`)
  if (state() !== before) faults.push("it wrote into the repository")
  if (faults.length > 0) faults.push(`with ${chosen.join(", ")}`)
  fs.rmSync(root, { recursive: true, force: true })
  return faults
}

const attacks: Readonly<Record<string, Attack>> = { names, repository }

export const scenario: Scenario = {
  promise: "what a stranger chooses neither writes to the terminal nor runs",
  rounds: 10,
  run: async ({ log, random, rounds }) => {
    const rows = Object.keys(attacks).map((what) => ({ what, tried: 0, failed: 0 }))
    for (let round = 0; round < rounds; round += 1) {
      for (const row of rows) {
        const faults = (await attacks[row.what]?.(random)) ?? []
        for (const fault of faults) log(`${row.what}: ${fault}`)
        row.tried += 1
        row.failed += faults.length > 0 ? 1 : 0
      }
    }
    return rows
  }
}
