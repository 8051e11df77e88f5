/**
 * `npm run torture`: stress scenarios on the built program, longer than a test may run.
 *
 *     npm run torture                  all scenarios
 *     npm run torture -- crash abuse   some of them
 *     SEED=7 ROUNDS=50 npm run torture -- crash
 *
 * Every choice comes from the seed, which is printed. A table at the end counts tries and
 * failures; the exit status is 0 only if nothing failed.
 */
import { randomFrom } from "../support/random.ts"
import type { Row, Scenario } from "./Scenario.ts"

const names = [
  "audit",
  "poison",
  "scan",
  "policy",
  "approval",
  "boundary",
  "disk",
  "crash",
  "owner",
  "signals",
  "service",
  "abuse",
  "fuzz",
  "ready",
  "activation",
  "exec",
  "mask",
  "restarts",
  "team",
  "runs",
  "mcp",
  "proxy",
  "deadline",
  "mac"
]

const print = (line: string) => void process.stdout.write(`${line}\n`)

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)
const named = process.argv.slice(2)
const unknown = named.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  print(`no such scenario: ${unknown.join(", ")}\nscenarios: ${names.join(", ")}`)
  process.exit(2)
}

const rows: Array<Row & { readonly name: string }> = []
for (const name of names.filter((one) => named.length === 0 || named.includes(one))) {
  const { scenario }: { readonly scenario: Scenario } = await import(`./${name}.ts`)
  const rounds = Number(process.env["ROUNDS"] ?? scenario.rounds)
  print(`\n${name}: ${scenario.promise} (${rounds} rounds, SEED=${seed})`)
  const done = await scenario.run({ rounds, random: randomFrom(seed), log: (line) => print(`  ${line}`) })
  rows.push(...done.map((row) => ({ name, ...row })))
}

print("")
const cells = [
  ["scenario", "what", "tried", "failed", ""],
  ...rows.map((row) => [row.name, row.what, String(row.tried), String(row.failed), row.stats ?? ""])
]
const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
for (const row of cells)
  print(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
process.exit(rows.some((row) => row.failed > 0) ? 1 : 0)
