/**
 * `npm run torture`: attacks on the built program, longer than a test may be.
 *
 *     npm run torture                  all of them
 *     npm run torture -- crash abuse   some of them
 *     SEED=7 ROUNDS=50 npm run torture -- crash
 *
 * Every choice comes from the seed, which is printed. At the end stands a table of
 * what was tried and what was lost; the exit status is 0 only if nothing was.
 */
import { type Attack, type Row, randomFrom } from "./Attack.ts"

const attacks: Readonly<Record<string, () => Promise<Attack>>> = {
  audit: () => import("./audit.ts").then((file) => file.attack),
  poison: () => import("./poison.ts").then((file) => file.attack),
  scan: () => import("./scan.ts").then((file) => file.attack),
  disk: () => import("./disk.ts").then((file) => file.attack),
  crash: () => import("./crash.ts").then((file) => file.attack),
  owner: () => import("./owner.ts").then((file) => file.attack),
  signals: () => import("./signals.ts").then((file) => file.attack),
  service: () => import("./service.ts").then((file) => file.attack),
  abuse: async () => (await import("./abuse.ts")).attack,
  fuzz: async () => (await import("./fuzz.ts")).attack,
  ready: () => import("./ready.ts").then((file) => file.attack),
  activation: () => import("./activation.ts").then((file) => file.attack),
  exec: async () => (await import("./exec.ts")).attack,
  mask: async () => (await import("./mask.ts")).attack,
  restarts: () => import("./restarts.ts").then((file) => file.attack)
}

const say = (line: string) => void process.stdout.write(`${line}\n`)

const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000)
const named = process.argv.slice(2)
const unknown = named.filter((name) => !Object.hasOwn(attacks, name))
if (unknown.length > 0) {
  say(`there is no attack ${unknown.join(", ")}; there are: ${Object.keys(attacks).join(", ")}`)
  process.exit(2)
}

const rows: Array<Row & { readonly attack: string }> = []
for (const [name, load] of Object.entries(attacks)) {
  if (named.length > 0 && !named.includes(name)) continue
  const attack = await load()
  const rounds = Number(process.env["ROUNDS"] ?? attack.rounds)
  say(`\n${name}: ${attack.promise} (${rounds} rounds, SEED=${seed})`)
  for (const row of await attack.run({ rounds, random: randomFrom(seed), tell: (line) => say(`  ${line}`) })) {
    rows.push({ attack: name, ...row })
  }
}

say("")
const cells = [
  ["attack", "what", "tried", "lost", ""],
  ...rows.map((row) => [row.attack, row.what, String(row.tried), String(row.lost), row.figures ?? ""])
]
const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
for (const row of cells)
  say(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  )
process.exit(rows.some((row) => row.lost > 0) ? 1 : 0)
