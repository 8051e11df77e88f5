/**
 * Writes the store's values into files, in every encoding and at every position, and runs
 * `secrets scan`. Each value is found and nothing else. No value is printed, and leases are
 * answered meanwhile.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { formsIn } from "../support/leaks.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import type { Random } from "../support/random.ts"
import { Client } from "../harness/connection.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { pause, start } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

const mebibyte = 1024 * 1024
const secretCount = 40
const letters = Array.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+&<>'\"\\ äß€😀")

const word = (random: Random, length: number): string => Array.from({ length }, () => random.pick(letters)).join("")

/** Makes a value of one line or several, without white space at its ends. */
const madeUp = (random: Random): string =>
  random.next() < 0.7
    ? `x${word(random, 7 + random.below(random.pick([10, 60, 3000])))}x`
    : Array.from({ length: 2 + random.below(20) }, () => `x${word(random, 20 + random.below(60))}x`).join("\n")

/** The encodings of values in files. */
const forms: Readonly<Record<string, (value: string, random: Random) => string>> = {
  plain: (value) => value,
  "in a line": (value) => `KEY='${value}' # not for you`,
  indented: (value) => value.replaceAll("\n", "\r\n\t  "),
  JSON: (value) => JSON.stringify({ a: [value] }),
  hex: (value) => Buffer.from(value).toString("hex"),
  URL: (value) => `https://me:${encodeURIComponent(value)}@host.example/`,
  form: (value) => new URLSearchParams({ a: "b", value }).toString(),
  base64: (value, random) =>
    Buffer.from("u".repeat(random.below(4)) + value + "\n".repeat(random.below(3))).toString("base64"),
  base64url: (value, random) => Buffer.from(`${"u".repeat(random.below(4))}${value}`).toString("base64url")
}

interface Planted {
  readonly file: string
  readonly name: string
  readonly form: string
}

/** Writes files with values in them and returns the positions. */
const plant = (tree: string, values: ReadonlyMap<string, string>, random: Random): ReadonlyArray<Planted> => {
  const planted: Array<Planted> = []
  for (let n = 0; n < 12; n += 1) {
    const file = path.join(tree, `d${random.below(3)}`, `file ${n}`)
    const isLarge = n < 3
    const size = isLarge ? random.below(3 * mebibyte) + mebibyte : random.below(2000)
    const bytes = Buffer.alloc(size, `${word(random, 200).replaceAll("x", "y")}\n`)
    const pieces: Array<Buffer> = []
    let at = 0
    for (let count = random.below(4); count >= 0 && at < size; count -= 1) {
      // A value at the end of a window is the easiest to miss.
      const near = isLarge ? (1 + Math.floor(at / mebibyte)) * mebibyte - random.below(100_000) : random.below(size)
      const next = Math.min(Math.max(near, at), size)
      const [name, value] = random.pick([...values])
      const form = random.pick(Object.keys(forms))
      pieces.push(bytes.subarray(at, next), Buffer.from(`\n${forms[form]?.(value, random)}\n`))
      planted.push({ file, name, form })
      at = next
    }
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, Buffer.concat([...pieces, bytes.subarray(at)]))
  }
  return planted
}

/** Leases until stopped and returns the longest wait. */
const leasing = (socket: string) => {
  const client = new Client(socket)
  const until = new AbortController()
  let slowest = 0
  const all = (async () => {
    while (!until.signal.aborted) {
      const began = performance.now()
      await client.ask("lease", { secret_name: "s0", client_id: "concurrent" })
      slowest = Math.max(slowest, performance.now() - began)
      await pause(1)
    }
    client.close()
    return slowest
  })()
  return () => {
    until.abort()
    return all
  }
}

export const scanRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const target = await untilReady(launch({ home }))
  const client = new Client(target.socket)
  const values = new Map(Array.from({ length: secretCount }, (_, n) => [`s${n}`, madeUp(random)]))
  const counts = { planted: 0, missed: 0, found: 0, wrong: 0, leaks: 0, slowest: 0 }
  try {
    for (const [name, value] of values) await client.ask("add", { name, value })
    for (let round = 0; round < rounds; round += 1) {
      const tree = temporaryHome()
      const planted = plant(tree, values, random)
      const stop = leasing(target.socket)
      const { stderr, stdout } = await start(["scan", tree, "--own-only", "--json"], { home }).ended
      counts.slowest = Math.max(counts.slowest, await stop())
      const found = JSON.parse(stdout).result.findings.map((one: any) => `${one.secret_name} in ${one.file}`)
      const expected = new Map(planted.map((one) => [`${one.name} in ${one.file}`, one.form]))
      const missed = [...expected].filter(([place]) => !found.includes(place))
      const wrong = found.filter((place: string) => !expected.has(place))
      counts.planted += expected.size
      counts.missed += missed.length
      counts.found += found.length
      counts.wrong += wrong.length
      if (missed.length + wrong.length > 0)
        log(`round ${round}: missed ${JSON.stringify(missed)}, wrong ${JSON.stringify(wrong)}`)
      const output = Buffer.from(stdout + stderr)
      counts.leaks += [...values.values()].filter((value) => formsIn(output, value).length > 0).length
      fs.rmSync(tree, { recursive: true, force: true })
    }
    const auditLog = fs.readFileSync(path.join(target.directory, "audit.log"))
    counts.leaks += [...values.values()].filter((value) => formsIn(auditLog, value).length > 0).length
  } finally {
    client.close()
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  const slowest = `slowest lease meanwhile ${Math.round(counts.slowest)} ms`
  return [
    { what: "values in files, found under the secret's name", tried: counts.planted, failed: counts.missed },
    { what: "findings that are values", tried: counts.found, failed: counts.wrong },
    {
      what: "values absent from output and log",
      tried: values.size * (rounds + 1),
      failed: counts.leaks,
      stats: slowest
    }
  ]
}

export const scenario: Scenario = {
  promise: "the store's values are found in files in any encoding and at any position, and never printed",
  rounds: 40,
  run: scanRounds
}
