/**
 * Corrupted files: flipped bits, wrong types, huge numbers, no content. A corrupted file never
 * prevents a start. A store that cannot be read does, with an error, and is not changed.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import type { Random } from "../support/random.ts"
import { Client } from "../harness/connection.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

const bookkeeping = [
  "leases.json",
  "leases.checkpoint.json",
  "audit.head.json",
  "audit.log",
  "daemon.json",
  "runs.json",
  "children.json"
] as const
const store = ["secrets.age", "identity.age"] as const

/** Valid but unexpected JSON, and nesting that is too deep. */
const odd = [
  "null",
  "[]",
  "{}",
  "-1",
  "1e400",
  '""',
  "[null]",
  "[[]]",
  '{"__proto__":{"seq":1}}',
  '[{"id":1,"secret_name":{},"client_id":[],"created_at":0,"expires_at":null}]',
  '[{"id":"a","secret_name":"db","client_id":"c","created_at":"9999-12-31T23:59:59Z","expires_at":"0001-01-01T00:00:00Z"}]',
  '{"version":2,"checkpoints":[{"leases":"x","seq":-5,"line":"","at":"soon"}]}',
  '{"seq":9007199254740993,"hash":"","first":-1}',
  '{"pid":-1,"started_at":"never","socket":""}',
  '{"timestamp":"x","action":"lease_acquire","success":true,"seq":1e300,"prev":7}',
  "[".repeat(50_000)
]

const mutate = (contents: Buffer, random: Random): Buffer => {
  const bytes = Buffer.from(contents)
  const ways: ReadonlyArray<() => Buffer> = [
    () => Buffer.alloc(0),
    () => Buffer.from(random.pick(odd)),
    () => bytes.subarray(0, random.below(bytes.length + 1)),
    () => Buffer.concat([bytes, bytes.subarray(random.below(bytes.length + 1))]),
    () => Buffer.from(bytes.toString("latin1").replace(/\d+/g, () => String(random.pick([0, -1, 1e21, 2 ** 53])))),
    () => Buffer.from(Array.from({ length: 200 }, () => random.below(256))),
    () => {
      for (let flips = 0; flips < 1 + random.below(20); flips += 1) {
        const at = random.below(bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
      }
      return bytes
    }
  ]
  return random.pick(ways)()
}

/** Makes a state directory as left by some use. */
const used = async (): Promise<string> => {
  const home = temporaryHome()
  const target = await untilReady(launch({ home }))
  const client = new Client(target.socket)
  for (const name of ["db", "mail"]) await client.ask("add", { name, value: `made up for ${name}` })
  for (let n = 0; n < 20; n += 1) await client.ask("lease", { secret_name: "db", client_id: `c${n % 7}`, ttl: "24h" })
  client.close()
  // leases.json is written after the answers.
  while (!fs.existsSync(path.join(target.directory, "leases.json"))) await pause(5)
  await target.end("SIGKILL")
  // Written at the first program that the daemon runs.
  fs.writeFileSync(path.join(target.directory, "children.json"), "[]", { mode: 0o600 })
  return home
}

export const poisonRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const template = await used()
  const counts = { files: 0, refused: 0, stores: 0, touched: 0, slowest: 0 }
  try {
    for (let round = 0; round < rounds; round += 1) {
      const home = temporaryHome()
      fs.cpSync(template, home, { recursive: true, filter: (file) => !file.endsWith(".sock") })
      const directory = path.join(home, ".agent-secrets")
      const isStore = random.next() < 0.2
      const name = isStore ? random.pick(store) : random.pick(bookkeeping)
      const file = path.join(directory, name)
      const poison = mutate(fs.readFileSync(file), random)
      fs.writeFileSync(file, poison)
      const began = performance.now()
      const target = launch({ home })
      try {
        await untilReady(target)
        const client = new Client(target.socket)
        const answers = [
          await client.ask("lease", { secret_name: "db", client_id: "after" }),
          await client.ask("status", {}),
          await client.ask("health", {}),
          await client.ask("audit", { tail: 10 }),
          await client.ask("revokeAll", {})
        ]
        client.close()
        if (answers.some((answer) => answer?.result === undefined)) throw new Error(JSON.stringify(answers))
        counts.slowest = Math.max(counts.slowest, performance.now() - began)
      } catch (fault) {
        const { status, stderr } = await target.end("SIGKILL")
        const isReported = isStore && status === 65 && stderr.includes(name) && stderr.includes("Nothing was changed")
        if (!isReported) {
          counts.refused += 1
          const what = fault instanceof Error ? fault.message : String(fault)
          log(`round ${round}: ${name} ${JSON.stringify(poison.toString("latin1").slice(0, 200))}: ${what}`)
        } else if (!fs.readFileSync(file).equals(poison)) {
          counts.touched += 1
          log(`round ${round}: ${name} was changed`)
        }
      }
      if (isStore) counts.stores += 1
      else counts.files += 1
      await target.end("SIGTERM")
      fs.rmSync(home, { recursive: true, force: true })
    }
  } finally {
    fs.rmSync(template, { recursive: true, force: true })
  }
  const slowest = `slowest start and five answers ${Math.round(counts.slowest)} ms`
  return [
    { what: "starts on a corrupted file", tried: counts.files, failed: counts.refused, stats: slowest },
    { what: "unreadable stores left unchanged", tried: counts.stores, failed: counts.touched }
  ]
}

export const scenario: Scenario = {
  promise: "no corrupted file prevents a start, and a store that cannot be read is not changed",
  rounds: 200,
  run: poisonRounds
}
