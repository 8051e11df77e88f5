/**
 * Approvals against a model: no lease without a yes that covers it, whatever the order of leases,
 * answers, withdrawals, `kill -9` and dead clients. A thousand clients that ask, five hundred that
 * wait and leave, and the askpass program of the system on a display without a screen.
 */
import { spawn, spawnSync } from "node:child_process"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client, Connection, requestLine } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { quantile } from "../harness/quantile.ts"
import { temporaryHome } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

const value = "a-made-up-value"
const policy = [
  { secrets: ["free"] },
  { secrets: ["always*"], approval: "always" },
  { secrets: ["held*"], approval: "15m" }
]

const openHome = (approval: object = {}): string => {
  const home = temporaryHome()
  fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
  fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ policy, approval }), { mode: 0o600 })
  return home
}

const tagOf = (answer: any): string => (answer?.result === undefined ? String(answer?.error?.data?.tag) : "leased")

/** What a lease may be told, by what a person answered before; `ids` are the open requests by client and secret. */
class Model {
  readonly open = new Map<string, string>()
  readonly answers = new Map<string, "once" | "held" | "denied">()

  expected(key: string): string {
    const answer = this.answers.get(key)
    if (answer === "denied") return "ApprovalDenied"
    return answer === undefined ? "ApprovalPending" : "leased"
  }

  leased(key: string, answer: any): void {
    if (this.answers.get(key) === "once") this.answers.delete(key)
    const id = answer?.error?.data?.request_id
    if (typeof id === "string") this.open.set(key, id)
  }
}

const steps = async ({ log, random, rounds }: ScenarioOptions): Promise<Row> => {
  const home = openHome()
  let target = await untilReady(launch({ home }))
  let client = new Client(target.socket)
  let model = new Model()
  const counts = { leases: 0, given: 0, wrong: 0, kills: 0 }
  try {
    for (const name of ["always", "held"]) await client.ask("add", { name, value })
    for (let step = 0; step < rounds * 100; step += 1) {
      const [secret, group] = [random.pick(["always", "held"]), random.pick(["a", "b/npm", "c"])]
      const key = `${group} ${secret}`
      const chance = random.next()
      const id = model.open.get(key)
      if (chance < 0.6) {
        const suffix = random.next() < 0.5 ? `[${random.below(1000)}]` : ""
        const answer = await client.ask("lease", { secret_name: secret, client_id: `${group}${suffix}` })
        counts.leases += 1
        if (tagOf(answer) === "leased") counts.given += 1
        if (tagOf(answer) !== model.expected(key)) {
          counts.wrong += 1
          log(`step ${step}: ${key} got ${tagOf(answer)}, not ${model.expected(key)}`)
        }
        model.leased(key, answer)
      } else if (chance < 0.85 && id !== undefined && model.answers.get(key) === undefined) {
        const isYes = random.next() < 0.7
        const word = isYes ? "approve" : "deny"
        const answer = await client.ask("approvals.answer", { request_id: id, answer: word })
        if (answer?.result === undefined) {
          counts.wrong += 1
          log(`step ${step}: the answer to ${id} was not taken`)
        }
        model.open.delete(key)
        model.answers.set(key, isYes ? (secret === "always" ? "once" : "held") : "denied")
      } else if (chance < 0.9) {
        await client.ask("approvals.revoke", { client_id: group, secret_name: secret })
        if (model.answers.get(key) !== "denied") model.answers.delete(key)
      } else if (chance < 0.93) {
        // The killswitch takes every answer and every request back, as a restart does.
        await client.ask("revokeAll", {})
        model = new Model()
      } else if (chance < 0.94) {
        counts.kills += 1
        client.close()
        await target.end("SIGKILL")
        target = await untilReady(launch({ home }))
        client = new Client(target.socket)
        model = new Model()
      }
    }
  } finally {
    client.close()
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  const stats = `${counts.given} leased, ${counts.kills} kill -9`
  return { what: "leases against the model", tried: counts.leases, failed: counts.wrong, stats }
}

const connectionsOf = ({ pid }: Target): number => fs.readdirSync(`/proc/${pid}/fd`).length

/** A thousand clients ask, and five hundred wait and leave, while another one leases what needs no approval. */
const crowd = async ({ log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = openHome({ notify: ["/bin/true"] })
  const target = await untilReady(launch({ home }))
  const client = new Client(target.socket)
  const waits: Array<number> = []
  try {
    for (const name of ["always", "free"]) await client.ask("add", { name, value })
    const beside = new Client(target.socket)
    const done = new AbortController()
    const leasing = (async () => {
      while (!done.signal.aborted) {
        const begun = performance.now()
        await beside.ask("lease", { secret_name: "free", client_id: "beside" })
        waits.push(performance.now() - begun)
        await pause(1)
      }
    })()
    const tags = new Map<string, number>()
    for (let n = 0; n < 1000; n += 1) {
      const tag = tagOf(await client.ask("lease", { secret_name: "always", client_id: `c${n}` }))
      tags.set(tag, (tags.get(tag) ?? 0) + 1)
    }
    const requests = (await client.ask("requests.list", {}))?.result.requests
    const isBounded =
      tags.get("ApprovalPending") === 200 && tags.get("TooManyRequests") === 800 && requests.length === 200
    if (!isBounded) log(`${JSON.stringify([...tags])}, ${requests.length} open`)
    const before = connectionsOf(target)
    const id = requests[0].request_id
    const waiting = Array.from({ length: 500 }, () =>
      new Connection(target.socket).send(`${requestLine("approvals.wait", { request_id: id, timeout: 50 })}\n`)
    )
    await Effect.runPromise(until(() => connectionsOf(target) >= before + 500))
    const [leaving, staying] = [waiting.slice(0, 400), waiting.slice(400)]
    const begun = performance.now()
    for (const one of leaving) one.socket.destroy()
    await Effect.runPromise(until(() => connectionsOf(target) <= before + 100))
    const freed = performance.now() - begun
    const answered = performance.now()
    await client.ask("approvals.answer", { request_id: id, answer: "approve" })
    const told = await Promise.all(staying.map((one) => one.line()))
    const took = performance.now() - answered
    for (const one of staying) one.socket.destroy()
    done.abort()
    await leasing
    beside.close()
    const missed = told.filter((line) => !(line ?? "").includes('"state":"approved"')).length
    const p99 = quantile(waits, 0.99)
    return [
      { what: "clients that ask beside 200 open requests", tried: 1000, failed: isBounded ? 0 : 1 },
      {
        what: "waiting clients told, of 500 of which 400 left",
        tried: staying.length,
        failed: missed + (freed > 30_000 ? 1 : 0),
        stats: `told within ${Math.round(took)} ms, the dead freed within ${Math.round(freed)} ms, p99 of leases beside ${p99.toFixed(1)} ms`
      }
    ]
  } finally {
    client.close()
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

const isInstalled = (program: string): boolean => spawnSync("which", [program]).status === 0

/** Answers by the keys of a dialog of the system's own askpass program. */
const askpass = async ({ log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const missing = ["Xvfb", "ssh-askpass", "xdotool"].filter((program) => !isInstalled(program))
  if (missing.length > 0) {
    log(`left out, the askpass program: ${missing.join(", ")} not installed`)
    return []
  }
  const display = ":93"
  const screen = spawn("Xvfb", [display, "-nolisten", "tcp", "-screen", "0", "640x480x24"], { stdio: "ignore" })
  const home = openHome({ command: "ssh-askpass" })
  const env = { DISPLAY: display }
  const target = await untilReady(launch({ home, env }))
  const client = new Client(target.socket)
  let failed = 0
  try {
    await client.ask("add", { name: "always", value })
    for (const [key, expected] of [
      ["Return", "approved"],
      ["Escape", "denied"]
    ] as const) {
      const answer = await client.ask("lease", { secret_name: "always", client_id: key })
      const id = (answer as any)?.error?.data?.request_id
      const shown = () =>
        spawnSync("xdotool", ["search", "--onlyvisible", "--name", "OpenSSH"], { env: { ...process.env, ...env } })
          .status === 0
      await Effect.runPromise(until(shown))
      await pause(500)
      spawnSync("xdotool", ["key", key], { env: { ...process.env, ...env } })
      const waited = await client.ask("approvals.wait", { request_id: id, timeout: 20 })
      if (waited?.result?.state === expected) continue
      failed += 1
      log(`${key}: ${JSON.stringify(waited)}`)
    }
    screen.kill("SIGKILL")
    const blind = await client.ask("lease", { secret_name: "always", client_id: "blind" })
    await pause(2000)
    const id = (blind as any)?.error?.data?.request_id
    const state = (await client.ask("approvals.wait", { request_id: id, timeout: 0 }))?.result?.state
    if (state !== "pending") {
      failed += 1
      log(`without a display: ${state}`)
    }
  } finally {
    client.close()
    screen.kill("SIGKILL")
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [{ what: "answers by ssh-askpass: yes, no, no display", tried: 3, failed }]
}

export const scenario: Scenario = {
  promise: "no lease without a yes that covers it, nobody answering is no answer, and no crowd of clients does harm",
  rounds: 20,
  run: async (options) => [await steps(options), ...(await crowd(options)), ...(await askpass(options))]
}
