/**
 * `npm run torture`: scenarios on the built program, longer than a test may be.
 *
 *     npm run torture                  all of them
 *     npm run torture -- crash abuse   some of them
 *     SEED=7 ROUNDS=50 npm run torture -- crash
 *
 * Every choice comes from the seed, which is printed. At the end stands a table of
 * what was tried and what was lost; the exit status is 0 only if nothing was.
 */
import type { Scenario, Row } from "./Scenario.ts"
import { randomFrom } from "../support/random.ts"

const scenarios: Readonly<Record<string, () => Promise<Scenario>>> = {
  audit: () => import("./audit.ts").then((file) => file.scenario),
  poison: () => import("./poison.ts").then((file) => file.scenario),
  scan: () => import("./scan.ts").then((file) => file.scenario),
  disk: () => import("./disk.ts").then((file) => file.scenario),
  crash: () => import("./crash.ts").then((file) => file.scenario),
  owner: () => import("./owner.ts").then((file) => file.scenario),
  signals: () => import("./signals.ts").then((file) => file.scenario),
  service: () => import("./service.ts").then((file) => file.scenario),
  abuse: async () => (await import("./abuse.ts")).scenario,
  fuzz: async () => (await import("./fuzz.ts")).scenario,
  ready: () => import("./ready.ts").then((file) => file.scenario),
  activation: () => import("./activation.ts").then((file) => file.scenario),
  exec: async () => (await import("./exec.ts")).scenario,
  mask: async () => (await import("./mask.ts")).scenario,
  restarts: () => import("./restarts.ts").then((file) => file.scenario)
}

const say = (line: string) => void process.stdout.write(`${line}\n`)

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)
const named = process.argv.slice(2)
const unknown = named.filter((name) => !Object.hasOwn(scenarios, name))
if (unknown.length > 0) {
  say(`there is no scenario ${unknown.join(", ")}; there are: ${Object.keys(scenarios).join(", ")}`)
  process.exit(2)
}

const rows: Array<Row & { readonly scenario: string }> = []
for (const [name, load] of Object.entries(scenarios)) {
  if (named.length > 0 && !named.includes(name)) continue
  const scenario = await load()
  const rounds = Number(process.env["ROUNDS"] ?? scenario.rounds)
  say(`\n${name}: ${scenario.promise} (${rounds} rounds, SEED=${seed})`)
  for (const row of await scenario.run({ rounds, random: randomFrom(seed), log: (line) => say(`  ${line}`) })) {
    rows.push({ scenario: name, ...row })
  }
}

say("")
const cells = [
  ["scenario", "what", "tried", "failed", ""],
  ...rows.map((row) => [row.scenario, row.what, String(row.tried), String(row.failed), row.stats ?? ""])
]
const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
for (const row of cells)
  say(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
process.exit(rows.some((row) => row.failed > 0) ? 1 : 0)
