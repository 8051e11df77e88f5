/**
 * kill -9 after random numbers of changes, under eight connections that acquire, revoke, add
 * and update. Before the next start the files get a fault that a crash, a restored backup or
 * the predecessor may leave. Everything acknowledged must survive.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditNeighbours } from "../../src/daemon/audit/auditEvidence.ts"
import { verifyAuditLog } from "../../src/daemon/audit/verifyAuditLog.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { type Random, randomFrom } from "../support/random.ts"
import { Client } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

const connections = 8
const secretsOfEach = 4

/** So many changes are acknowledged before a kill, at least and at most, on any machine. */
const [leastChanges, mostChanges] = [8, 60]
/** In each so many rounds, one daemon is killed while it starts. */
const startKillEvery = 10

/** The changes that so many rounds acknowledge at least. */
export const changesIn = (rounds: number): number => (rounds - Math.ceil(rounds / startKillEvery)) * leastChanges

/** The acknowledged state of one connection, and its request without an answer. */
class Memory {
  readonly values = new Map<string, string>()
  readonly leases = new Map<string, string>()
  /** The request without an answer, which may have been executed. */
  doubt: { readonly kind: "value" | "acquire" | "revoke"; readonly secret: string; readonly value?: string } | undefined
  readonly client: string

  constructor(client: string) {
    this.client = client
  }

  /** Changes one thing after the other until no answer comes, and reports each acknowledged change. */
  async work(socket: string, random: Random, acknowledged: () => void): Promise<void> {
    const client = new Client(socket)
    while (await this.step(client, random)) acknowledged()
    client.close()
  }

  /** Sends one request; returns false if no answer came. */
  private async step(client: Client, random: Random): Promise<boolean> {
    const secret = `${this.client}-s${random.below(secretsOfEach)}`
    const held = this.leases.get(secret)
    const known = this.values.has(secret)
    if (!known || random.next() < 0.15) {
      const value = `made-up-${random.below(1e9)}`
      this.doubt = { kind: "value", secret, value }
      const answer = await client.ask(known ? "update" : "add", { name: secret, value })
      if (answer?.result === undefined) return this.stopped(answer)
      this.values.set(secret, value)
    } else if (held !== undefined && random.next() < 0.3) {
      this.doubt = { kind: "revoke", secret }
      const pair = { client_id: this.client, secret_name: secret }
      const one = random.next() < 0.5
      const answer = await (one ? client.ask("revoke", { lease_id: held }) : client.ask("revokeMatching", pair))
      if (answer?.result === undefined) return this.stopped(answer)
      this.leases.delete(secret)
    } else {
      this.doubt = { kind: "acquire", secret }
      const answer = await client.ask("lease", { secret_name: secret, client_id: this.client, ttl: "24h" })
      if (answer?.result === undefined) return this.stopped(answer)
      this.leases.set(secret, answer.result.lease_id)
    }
    this.doubt = undefined
    return true
  }

  private stopped(answer: unknown): false {
    if (answer !== undefined) throw new Error(`${this.client} was refused: ${JSON.stringify(answer)}`)
    return false
  }
}

interface LeaseRow {
  readonly id: string
  readonly client_id: string
  readonly secret_name: string
}

const leasesFile = (directory: string): string => path.join(directory, "leases.json")

const readIfThere = (file: string): string | undefined =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined

/** The active leases by the daemon. */
const leasesOf = async ({ socket }: Target): Promise<ReadonlyArray<LeaseRow>> => {
  const client = new Client(socket)
  const answer = await client.ask("leases", { limit: 1_000 })
  client.close()
  return answer?.result.leases.map(({ lease_id, ...row }: any) => ({ id: lease_id, ...row }))
}

/** Stops a daemon in order; returns whether leases.json then has its active leases. */
const stopInOrder = async (target: Target): Promise<boolean> => {
  const ids = (rows: ReadonlyArray<LeaseRow>) =>
    rows
      .map(({ id }) => id)
      .toSorted()
      .join()
  const active = ids(await leasesOf(target))
  await target.end("SIGTERM")
  return ids(JSON.parse(readIfThere(leasesFile(target.directory)) ?? "[]") ?? []) === active
}

/** The findings of a verification, while the daemon runs. */
const findingsIn = (directory: string): Promise<ReadonlyArray<string>> => {
  const paths = { directory, leasesPath: leasesFile(directory), secretsPath: path.join(directory, "secrets.age") }
  return verifyAuditLog(path.join(directory, "audit.log"), { beside: auditNeighbours(paths) }).pipe(
    Effect.map(({ findings }) => findings.map(({ message }) => message)),
    Effect.runPromise
  )
}

const headMissing = "the head of the log missing"

/** Faults in the files while no daemon runs. None of them removes an entry of the log. */
const faults: Readonly<Record<string, (directory: string, random: Random, older: string | undefined) => void>> = {
  nothing: () => undefined,
  "a torn last line": (directory) =>
    fs.appendFileSync(path.join(directory, "audit.log"), '{"timestamp":"2026-11-22T00:00:00Z","action":"lease_acq'),
  "leases.json missing": (directory) => fs.rmSync(path.join(directory, "leases.json"), { force: true }),
  "leases.json stale": (directory, _random, older) => {
    if (older !== undefined) fs.writeFileSync(path.join(directory, "leases.json"), older)
  },
  "leases.json cut short": (directory, random) => {
    const file = path.join(directory, "leases.json")
    if (fs.existsSync(file)) fs.truncateSync(file, random.below(fs.statSync(file).size))
  },
  "the side file missing": (directory) => fs.rmSync(path.join(directory, "leases.checkpoint.json"), { force: true }),
  "killed between write and rename": (directory, random) => {
    for (const name of ["leases.json", "leases.checkpoint.json", "secrets.age", "audit.head.json"]) {
      fs.writeFileSync(path.join(directory, `${name}.tmp`), "x".repeat(random.below(2_000)))
    }
    fs.writeFileSync(path.join(directory, "audit.log.new"), "")
  },
  [headMissing]: (directory) => fs.rmSync(path.join(directory, "audit.head.json"), { force: true })
}

/** Imitates a run of the predecessor: it read leases.json, ended some leases, and wrote entries without a chain. */
const predecessorRan = (directory: string, memories: ReadonlyArray<Memory>, random: Random): void => {
  const file = leasesFile(directory)
  const rows: ReadonlyArray<LeaseRow> = JSON.parse(readIfThere(file) ?? "null") ?? []
  const ended = rows.filter(() => random.next() < 0.3)
  fs.writeFileSync(
    file,
    JSON.stringify(
      rows.filter((row) => !ended.includes(row)),
      undefined,
      2
    )
  )
  const entries = [
    { action: "daemon_start" },
    ...ended.map(({ client_id, id, secret_name }) => ({ action: "lease_revoke", secret_name, client_id, lease_id: id }))
  ]
  for (const entry of entries) {
    const line = JSON.stringify({ timestamp: new Date().toISOString(), ...entry, success: true })
    fs.appendFileSync(path.join(directory, "audit.log"), `${line}\n`)
  }
  for (const memory of memories) {
    for (const { id, secret_name } of ended)
      if (memory.leases.get(secret_name) === id) memory.leases.delete(secret_name)
  }
}

/** Describes every difference from the acknowledged state. */
const losses = (
  rows: ReadonlyArray<LeaseRow>,
  values: ReadonlyMap<string, string>,
  memories: ReadonlyArray<Memory>
) => {
  const lost: Array<string> = []
  for (const { client, doubt, leases, values: known } of memories) {
    for (const [secret, value] of known) {
      const found = values.get(secret)
      const mayBe = doubt?.kind === "value" && doubt.secret === secret ? doubt.value : value
      if (found !== value && found !== mayBe) lost.push(`the value of ${secret} is not the last one`)
      else if (found !== undefined) known.set(secret, found)
    }
    for (const [secret, id] of leases) {
      const active = rows.filter((row) => row.client_id === client && row.secret_name === secret)
      const isDoubted = doubt?.secret === secret && doubt.kind !== "value"
      if (active.length > 1) lost.push(`${active.length} active leases of ${client} and ${secret}`)
      if (active[0]?.id !== id && !isDoubted) lost.push(`the lease ${id} of ${secret} is gone`)
      if (active[0] === undefined) leases.delete(secret)
      else leases.set(secret, active[0].id)
    }
    for (const { client_id, id, secret_name } of rows) {
      if (client_id !== client || leases.has(secret_name)) continue
      if (doubt?.secret !== secret_name || doubt.kind !== "acquire") lost.push(`the ended lease ${id} is back`)
      leases.set(secret_name, id)
    }
  }
  return lost
}

/** Leases every secret and returns the values. A secret whose addition was not acknowledged may be missing. */
const valuesOf = async (target: Target, memories: ReadonlyArray<Memory>): Promise<ReadonlyMap<string, string>> => {
  const values = new Map<string, string>()
  await Promise.all(
    memories.map(async (memory) => {
      const client = new Client(target.socket)
      const lease = (secret: string) => client.ask("lease", { secret_name: secret, client_id: "checker" })
      if (memory.doubt?.kind === "value" && !memory.values.has(memory.doubt.secret)) {
        memory.values.set(memory.doubt.secret, memory.doubt.value ?? "")
        const there = await lease(memory.doubt.secret)
        if (there?.error?.code === -32000) memory.values.delete(memory.doubt.secret)
      }
      for (const secret of memory.values.keys()) {
        const answer = await lease(secret)
        if (answer?.result !== undefined) values.set(secret, answer.result.value)
      }
      client.close()
    })
  )
  return values
}

/** Kills a daemon under load after a random number of acknowledged changes, and returns how many there were. */
const killUnderLoad = async (target: Target, memories: ReadonlyArray<Memory>, random: Random): Promise<number> => {
  const wanted = leastChanges + random.below(mostChanges - leastChanges)
  let changes = 0
  const enough = Promise.withResolvers<void>()
  const working = Promise.all(
    memories.map((memory) =>
      memory.work(target.socket, randomFrom(random.below(2 ** 31)), () => {
        changes += 1
        if (changes === wanted) enough.resolve()
      })
    )
  )
  await Promise.race([enough.promise, working])
  // The changes under way may be anywhere between their arrival and their answer.
  await pause(random.below(4))
  target.signal("SIGKILL")
  await working
  return changes
}

/** Runs load, kill, fault, restart and comparison; returns what was lost. */
export const crashRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const memories = Array.from({ length: connections }, (_, at) => new Memory(`c${at}`))
  const tried = new Map<string, { tried: number; failed: number }>()
  let [acknowledged, refusedStarts, auditFaults, wrongFiles] = [0, 0, 0, 0]
  const slowest = { start: 0 }
  const kinds = [...Object.keys(faults), "the predecessor in between"]
  let older: string | undefined
  let missingHeads = 0
  let running: Target | undefined
  try {
    for (let round = 0; round < rounds; round += 1) {
      const kind = kinds[round % kinds.length] ?? "nothing"
      const isStartKilled = round % startKillEvery === startKillEvery / 2
      if (isStartKilled && running !== undefined && !(await stopInOrder(running))) wrongFiles += 1
      // The daemon that was compared is the next one that is killed.
      const target = running === undefined || isStartKilled ? launch({ home }) : running
      if (isStartKilled) await pause(random.below(400))
      else acknowledged += await killUnderLoad(await untilReady(target), memories, random)
      await target.end("SIGKILL")
      running = undefined

      if (kind === "the predecessor in between") predecessorRan(target.directory, memories, random)
      else if (fs.existsSync(path.join(target.directory, "audit.log"))) faults[kind]?.(target.directory, random, older)

      const lost: Array<string> = []
      const began = performance.now()
      const next = launch({ home })
      try {
        await untilReady(next)
        slowest.start = Math.max(slowest.start, performance.now() - began)
        const values = await valuesOf(next, memories)
        lost.push(...losses(await leasesOf(next), values, memories))
        older = round % 3 === 0 ? readIfThere(leasesFile(next.directory)) : older
        running = next
      } catch (fault) {
        refusedStarts += 1
        lost.push(fault instanceof Error ? fault.message : String(fault))
        await next.end("SIGKILL")
      }
      if (kind === headMissing) missingHeads += 1
      const findings = await findingsIn(target.directory)
      // Each start without the head records that once, and each verification reports it.
      const expected = findings.filter((message) => message.startsWith("audit.head.json was missing"))
      if (findings.length !== missingHeads || expected.length !== missingHeads) {
        auditFaults += 1
        lost.push(`the audit log: ${missingHeads} missing heads, ${findings.join("; ") || "nothing"} was found`)
      }
      for (const memory of memories) memory.doubt = undefined
      const count = tried.get(kind) ?? { tried: 0, failed: 0 }
      tried.set(kind, { tried: count.tried + 1, failed: count.failed + lost.length })
      for (const line of lost) log(`round ${round} (${kind}): ${line}`)
      if ((round + 1) % 20 === 0) log(`${round + 1} rounds, ${acknowledged} acknowledged changes`)
    }
    if (running !== undefined && !(await stopInOrder(running))) wrongFiles += 1
    if (wrongFiles > 0) log(`leases.json had other leases than the daemon after ${wrongFiles} orderly stops`)
  } finally {
    await running?.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [
    ...[...tried].map(([kind, counts]) => ({ what: `kill -9, then ${kind}`, ...counts })),
    {
      what: "acknowledged changes, starts, audit chain",
      tried: acknowledged,
      failed: refusedStarts + auditFaults + wrongFiles,
      stats: `slowest start ${Math.round(slowest.start)} ms`
    }
  ]
}

export const scenario: Scenario = {
  promise: "what was acknowledged is there after kill -9, no file is unreadable and no start refused",
  rounds: 200,
  run: crashRounds
}
