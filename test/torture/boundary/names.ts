/**
 * Random names of secrets and clients, from pieces that a terminal obeys or that look like
 * escapes. They reach the terminal visibly, and programs unchanged.
 */
import * as fs from "node:fs"
import { escapeValue } from "../../../src/domain/escape.ts"
import { Connection, requestLine } from "../../harness/connection.ts"
import { launch, untilReady } from "../../harness/daemon.ts"
import { start } from "../../harness/program.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

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

const round = async (random: Random): Promise<ReadonlyArray<string>> => {
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
      const lines = stdout.split("\n")
      for (const name of given) {
        const shown = escapeValue(name)
        // The number of leases follows the name.
        if (!lines.some((line) => line.startsWith(shown) && /^ +\d+ /.test(line.slice(shown.length))))
          faults.push(`list did not show ${JSON.stringify(name)}`)
      }
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

export const randomNames = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const tally = new Tally("names, visible on the terminal and unchanged for programs", log)
  for (let n = 0; n < rounds; n += 1) {
    const faults = await round(random)
    tally.check(faults.length === 0, () => faults.join("; "))
  }
  return [tally.row()]
}
