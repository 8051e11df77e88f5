/**
 * One or two random edits of the files while no daemon runs. The verification finds each that
 * matters, with a witness also an older copy of everything, and after a start it still does. No
 * lease is adopted that was not issued, and no secret is lost without a word.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../../harness/connection.ts"
import { becomesReady, launch, untilReady } from "../../harness/daemon.ts"
import { start } from "../../harness/program.ts"
import { predecessorAcquire, predecessorStart } from "../../support/predecessor.ts"
import { flipBit, type Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"
import type { Row, ScenarioOptions } from "../Scenario.ts"
import { Tally } from "./tally.ts"

type Files = ReadonlyMap<string, Buffer>

/** The state after each of several runs, the last one first, and all that was issued. */
interface History {
  readonly states: readonly [Files, ...ReadonlyArray<Files>]
  readonly issued: ReadonlySet<string>
  readonly values: ReadonlyMap<string, string>
}

const directoryIn = (home: string) => path.join(home, ".agent-secrets")
const configIn = (home: string) => path.join(home, "config.json")

const filesIn = (home: string): Files => {
  const directory = directoryIn(home)
  const names = fs.readdirSync(directory).filter((name) => fs.statSync(path.join(directory, name)).isFile())
  return new Map(names.map((name) => [name, fs.readFileSync(path.join(directory, name))]))
}

const launchIn = (home: string) => {
  fs.writeFileSync(configIn(home), JSON.stringify({ audit_max_size: 4_096, audit_max_files: 100 }))
  return launch({ home }, ["--config", configIn(home)])
}

const history = async (): Promise<History> => {
  const home = temporaryHome()
  const issued = new Set<string>()
  const values = new Map<string, string>()
  const states: Array<Files> = []
  for (let run = 0; run < 4; run += 1) {
    const target = await untilReady(launchIn(home))
    const client = new Client(target.socket)
    values.set(`s${run}`, `made up ${run}`)
    await client.ask("add", { name: `s${run}`, value: `made up ${run}` })
    for (let n = 0; n < 8; n += 1) {
      const answer = await client.ask("lease", { secret_name: `s${run}`, client_id: `c${n % 6}`, ttl: "24h" })
      issued.add(answer?.result.lease_id)
    }
    client.close()
    await target.end("SIGTERM")
    states.unshift(filesIn(home))
  }
  fs.rmSync(home, { recursive: true, force: true })
  const [last = new Map(), ...older] = states
  return { states: [last, ...older], issued, values }
}

const isLog = (name: string) => name.startsWith("audit.log")
const linesOf = (bytes: Buffer) => bytes.toString("utf8").split(/(?<=\n)/)

type Edit = (files: Map<string, Buffer>, history: History, random: Random) => void

const onLog =
  (change: (lines: Array<string>, random: Random, history: History) => string): Edit =>
  (files, history, random) => {
    const name = random.pick([...files.keys()].filter(isLog))
    files.set(name, Buffer.from(change(linesOf(files.get(name) ?? Buffer.alloc(0)), random, history)))
  }

/** Added at the end of the last file, as by an append. */
const appended =
  (text: (lastLine: string, history: History, random: Random) => string): Edit =>
  (files, history, random) => {
    const log = files.get("audit.log") ?? Buffer.alloc(0)
    files.set("audit.log", Buffer.concat([log, Buffer.from(text(linesOf(log).at(-1) ?? "", history, random))]))
  }

const forgedRow = (id: string) => ({
  id,
  secret_name: "s0",
  client_id: id,
  created_at: "2026-01-01T00:00:00Z",
  expires_at: "2999-01-01T00:00:00Z",
  revoked: false
})
const forgedLeases: Edit = (files, { issued }, random) => {
  const rows = [...[...issued].filter(() => random.next() < 0.3), "forged"].map(forgedRow)
  const leases = Buffer.from(JSON.stringify(rows, undefined, 2))
  files.set("leases.json", leases)
  const beside = files.get("leases.checkpoint.json")
  if (beside === undefined || random.next() < 0.5) return
  // Bound to the log, by somebody who knows the format.
  const side = JSON.parse(beside.toString("utf8"))
  side.checkpoints = [{ ...side.checkpoints?.at(-1), leases: createHash("sha256").update(leases).digest("hex") }]
  files.set("leases.checkpoint.json", Buffer.from(JSON.stringify(side)))
}

const edits: Readonly<Record<string, Edit>> = {
  "a byte changed": (files, _, random) => {
    const name = random.pick([...files.keys()])
    const bytes = Buffer.from(files.get(name) ?? "")
    if (bytes.length > 0) flipBit(bytes, random)
    files.set(name, bytes)
  },
  "a file cut": (files, _, random) => {
    const name = random.pick([...files.keys()])
    const bytes = files.get(name) ?? Buffer.alloc(0)
    files.set(name, bytes.subarray(0, random.below(bytes.length + 1)))
  },
  "lines removed": onLog((lines, random) => lines.toSpliced(random.below(lines.length), 1 + random.below(3)).join("")),
  "a line repeated": onLog((lines, random) =>
    lines.toSpliced(random.below(lines.length), 0, random.pick(lines)).join("")
  ),
  "lines swapped": onLog((lines, random) => lines.toSorted(() => random.next() - 0.5).join("")),
  "a line inserted": onLog((lines, random) =>
    lines.toSpliced(random.below(lines.length), 0, predecessorAcquire("s0", "forged")).join("")
  ),
  "a line appended": appended(() => predecessorAcquire("s0", "forged")),
  "an entry appended with its hash": appended((last) => {
    const { seq = 0 } = JSON.parse(last || "{}")
    const lease = { action: "lease_acquire", secret_name: "s0", client_id: "forged", lease_id: "forged" }
    const entry = { timestamp: "2026-11-30T00:00:00Z", ...lease, details: "TTL: 24h0m0s", success: true, seq: seq + 1 }
    return `${JSON.stringify({ ...entry, prev: createHash("sha256").update(last).digest("hex") })}\n`
  }),
  "a part of the predecessor appended": appended(() => predecessorStart + predecessorAcquire("s0", "of-predecessor")),
  "two logs swapped": (files, _, random) => {
    const logs = [...files.keys()].filter(isLog)
    const [one, other] = [random.pick(logs), random.pick(logs)]
    const bytes = files.get(one) ?? Buffer.alloc(0)
    files.set(one, files.get(other) ?? Buffer.alloc(0))
    files.set(other, bytes)
  },
  "an archive planted": (files, _, random) => {
    const contents = random.pick([predecessorStart, predecessorAcquire("s0", "forged"), files.get("audit.log.1") ?? ""])
    files.set(`audit.log.${random.pick([1, 50, 99])}`, Buffer.from(contents))
  },
  "files removed": (files, _, random) => {
    for (const name of files.keys()) if (random.next() < 0.2) files.delete(name)
  },
  "files rolled back": (files, { states }, random) => {
    const older = random.pick(states.slice(1))
    const share = random.pick([0.3, 0.7, 0.95, 1])
    for (const name of new Set([...files.keys(), ...older.keys()])) {
      if (random.next() >= share) continue
      const bytes = older.get(name)
      if (bytes === undefined) files.delete(name)
      else files.set(name, bytes)
    }
  },
  "leases.json forged": forgedLeases
}

/** Whether the chosen files are those of a state. */
const isAs = (files: Files, state: Files, isChosen: (name: string) => boolean): boolean =>
  [...new Set([...files.keys(), ...state.keys()])]
    .filter(isChosen)
    .every((name) => files.get(name)?.equals(state.get(name) ?? Buffer.from("none")) === true)

/** Whether the log and the store are as a daemon left them at one time; the leases follow from the log. */
const isAsWritten = (files: Files, states: ReadonlyArray<Files>): boolean =>
  states.some((state) => isAs(files, state, (name) => isLog(name) || name === "secrets.age"))

const write = (home: string, files: Files) => {
  fs.mkdirSync(directoryIn(home), { mode: 0o700 })
  for (const [name, bytes] of files) fs.writeFileSync(path.join(directoryIn(home), name), bytes, { mode: 0o600 })
}

const verify = async (home: string, ...more: ReadonlyArray<string>) => {
  const args = ["audit", "--verify", ...more, "--json", "--config", configIn(home)]
  const { status, stderr, stdout } = await start(args, { home }).ended
  const { result } = JSON.parse(stdout || "{}")
  return { status, adopted: result?.adopted?.length ?? 0, text: `${status} ${stdout.slice(0, 600)}${stderr}` }
}

export const editedFiles = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const past = await history()
  const { issued, states, values } = past
  const [last] = states
  const lastLine = linesOf(last.get("audit.log") ?? Buffer.alloc(0)).at(-1) ?? ""
  const witness = createHash("sha256").update(lastLine).digest("hex")
  const found = new Tally("edited files: status 1, or as the daemon wrote them", log)
  const witnessed = new Tally("… with a witness: status 1, or all of the log", log)
  const stays = new Tally("… after a start: still found", log)
  const adopted = new Tally("… no lease that was not issued, unless bound to the log and found", log)
  const kept = new Tally("… every secret, or a refusal that changes nothing", log)
  for (let round = 0; round < rounds; round += 1) {
    const home = temporaryHome()
    const files = new Map(last)
    const names = Array.from({ length: 1 + random.below(2) }, () => random.pick(Object.keys(edits)))
    for (const name of names) edits[name]?.(files, past, random)
    write(home, files)
    const about = (what: string) => () => `round ${round}, ${names.join(" and ")}: ${what}`
    fs.writeFileSync(configIn(home), "{}")
    const before = await verify(home)
    const isHonest = isAsWritten(files, states) || before.adopted > 0
    found.check(before.status === 1 || (before.status === 0 && isHonest), about(before.text))
    const head = await verify(home, "--head", witness)
    const isWhole = isAs(files, last, isLog) || head.adopted > 0
    witnessed.check(head.status === 1 || (head.status === 0 && isWhole), about(head.text))

    const target = launchIn(home)
    const isStoreOurs = isAs(files, last, (name) => name === "secrets.age" || name === "identity.age")
    if (await becomesReady(target)) {
      const client = new Client(target.socket)
      const leases = (await client.ask("leases", { limit: 1000 }))?.result?.leases ?? [{ lease_id: "no answer" }]
      const foreign = leases.filter(({ lease_id }: { readonly lease_id: string }) => !issued.has(lease_id))
      // Whoever forges leases.checkpoint.json too binds leases to the log: they are adopted, and found.
      const isBound = !isAs(files, last, (name) => name === "leases.checkpoint.json")
      adopted.check(foreign.length === 0 || (isBound && before.status === 1), about(JSON.stringify(foreign)))
      const lost: Array<string> = []
      for (const [name, value] of isStoreOurs ? values : []) {
        const answer = await client.ask("lease", { secret_name: name, client_id: "after" })
        if (answer?.result?.value !== value) lost.push(`${name}: ${answer?.error?.message}`)
      }
      client.close()
      kept.check(lost.length === 0, about(lost.join(", ")))
    } else {
      const { status, stderr } = await target.ended
      const now = filesIn(home)
      const isUnchanged = ["secrets.age", "identity.age"].every((name) => isAs(now, files, (one) => one === name))
      kept.check(!isStoreOurs && isUnchanged && status === 65 && /\.age/.test(stderr), about(`${status} ${stderr}`))
    }
    await target.end("SIGTERM")
    const after = await verify(home)
    stays.check(before.status !== 1 || after.status === 1, about(`${before.text}, and then ${after.text}`))
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [found, witnessed, stays, adopted, kept].map((tally) => tally.row())
}
