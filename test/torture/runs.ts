/**
 * Programs that run with values: every end of a lease reaches those who hold it, although the
 * daemon is killed at any moment and its clock is set; clients that vanish or read nothing
 * cost nothing; and a thousand are reached at once, without delaying who leases.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client, Connection, requestLine } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { median, quantile } from "../harness/quantile.ts"
import { RunWatcher } from "../harness/runWatcher.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

const secrets = ["a", "b", "c"] as const
const clients = ["one", "two", "three", "four"] as const

/** Calls a method on a new connection; undefined if that broke. */
const call = async (socket: string, method: string, params: object = {}) => {
  const client = new Client(socket)
  const reply = await client.ask(method, params)
  client.close()
  return reply
}

/** What a person does, and whom it concerns: the kind of the notice, and whether it is for a pair. */
interface Act {
  readonly kind: string
  readonly method: string
  readonly params: object
  readonly concerns: (client: string, secret: string) => boolean
  /** What makes the next round possible. */
  readonly after?: readonly [method: string, params: object]
}

const actsOf = (client: string, secret: string): ReadonlyArray<Act> => [
  { kind: "revoked", method: "revokeMatching", params: { client_id: client }, concerns: (who) => who === client },
  {
    kind: "revoked",
    method: "revokeMatching",
    params: { secret_name: secret },
    concerns: (_, what) => what === secret
  },
  { kind: "killswitch", method: "revokeAll", params: {}, concerns: () => true },
  { kind: "killswitch", method: "killswitch", params: {}, concerns: () => true },
  { kind: "locked", method: "lock", params: {}, concerns: () => true, after: ["unlock", {}] },
  { kind: "changed", method: "update", params: { name: secret, value: "y" }, concerns: (_, what) => what === secret },
  {
    kind: "deleted",
    method: "delete",
    params: { name: secret },
    concerns: (_, what) => what === secret,
    after: ["add", { name: secret, value: "x" }]
  }
]

/** Starts the program with a clock that is set by as many milliseconds as a file holds. */
const withSetClock = (home: string): { readonly through: string; readonly set: (millis: number) => void } => {
  const [file, loader] = [path.join(home, "shift"), path.join(home, "loader.mjs")]
  const set = (millis: number) => fs.writeFileSync(file, `${millis}`)
  set(0)
  fs.writeFileSync(
    loader,
    `import fs from "node:fs"
const now = Date.now
Date.now = () => now() + Number(fs.readFileSync(${JSON.stringify(file)}, "utf8"))
process.argv.splice(1, 1)
await import(process.argv[1])`
  )
  return { set, through: `node=$1; shift; exec "$node" '${loader}' "$@"` }
}

const killRounds = async ({ log, random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const clock = withSetClock(home)
  const start = () => untilReady(launch({ home, through: clock.through }))
  let daemon = await start()
  for (const name of secrets) await call(daemon.socket, "add", { name, value: "x" })
  const pairs = clients.flatMap((client) => secrets.map((secret) => [client, secret] as const))
  const watchers = pairs.map(([client, secret]) => ({
    client,
    secret,
    run: new RunWatcher(daemon.socket, client, [secret])
  }))
  let [expected, lost, wrong, unanswered] = [0, 0, 0, 0]
  try {
    for (const { run } of watchers) {
      await run.begin()
      void run.watch()
    }
    for (let round = 0; round < rounds; round += 1) {
      const acts = actsOf(clients[random.below(clients.length)] ?? "one", secrets[random.below(secrets.length)] ?? "a")
      const act = acts[random.below(acts.length)]
      if (act === undefined) throw new Error("there are acts")
      for (const { run } of watchers) run.notices.length = 0
      if (random.below(4) === 0) clock.set((random.below(9) - 4) * 3_600_000)
      // A slow watcher may still get what an earlier round did.
      const from = (await call(daemon.socket, "audit", { tail: 1 }))?.result?.entries?.[0]?.seq ?? Infinity
      const asked = call(daemon.socket, act.method, act.params)
      await pause(random.below(12))
      await daemon.end(random.below(4) === 0 ? "SIGTERM" : "SIGKILL")
      let reply = await asked
      daemon = await start()
      if (reply?.result === undefined) unanswered += 1
      while (reply?.result === undefined && reply?.error === undefined) {
        reply = await call(daemon.socket, act.method, act.params)
      }
      const concerned = watchers.filter(({ client, secret }) => act.concerns(client, secret))
      expected += concerned.length
      const isReached = ({ run }: (typeof watchers)[number]) => run.notices.some(({ kind }) => kind === act.kind)
      for (let waited = 0; waited < 20_000 && !concerned.every(isReached); waited += 10) await pause(10)
      const missing = concerned.filter((one) => !isReached(one))
      const isWrong = ({ run }: (typeof watchers)[number]) => run.notices.some(({ seq }) => seq > from)
      const others = watchers.filter((one) => !concerned.includes(one) && isWrong(one))
      lost += missing.length
      wrong += others.length
      if (missing.length > 0)
        log(`round ${round}: ${act.method} did not reach ${missing.length} of ${concerned.length}`)
      if (others.length > 0)
        log(`round ${round}: ${act.method} reached ${others.length} others: ${others[0]?.run.notices[0]?.kind}`)
      if (act.after !== undefined) await call(daemon.socket, ...act.after)
    }
  } finally {
    for (const { run } of watchers) run.vanish()
    await daemon.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [
    {
      what: "ends that did not reach a program",
      tried: expected,
      failed: lost,
      stats: `${rounds} daemons killed or stopped, ${unanswered} before they answered; the clock was set`
    },
    { what: "programs reached that it did not concern", tried: rounds * watchers.length - expected, failed: wrong }
  ]
}

/** Runs on a daemon of its own, with one secret. */
const onDaemon = async <A>(use: (daemon: Target) => Promise<A>): Promise<A> => {
  const home = temporaryHome()
  const daemon = await untilReady(launch({ home }))
  try {
    await call(daemon.socket, "add", { name: "a", value: "x" })
    return await use(daemon)
  } finally {
    await daemon.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** The resident memory of a process in bytes. */
const memoryOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024

const begin = async (socket: string, count: number): Promise<ReadonlyArray<RunWatcher>> => {
  const all: Array<RunWatcher> = []
  // More at once than the backlog of the socket would be refused.
  while (all.length < count) {
    const some = Array.from(
      { length: Math.min(64, count - all.length) },
      (_, n) => new RunWatcher(socket, `c${all.length + n}`, ["a"])
    )
    all.push(...some)
    const begun = await Promise.all(some.map((run) => run.begin()))
    const refused = begun.find((reply) => reply?.result === undefined)
    if (refused !== undefined) throw new Error(`a run was not begun: ${JSON.stringify(refused)}`)
  }
  for (const run of all) void run.watch()
  // Until the daemon has each of them waiting.
  await call(socket, "runs.list")
  return all
}

/** No program is waited for longer, in milliseconds. */
const reachLimit = 30_000

/** Pulls the killswitch with so many programs, and measures when each is reached. */
const reach = (count: number, most: number): Promise<Row> =>
  onDaemon(async ({ pid, socket }) => {
    const before = memoryOf(pid)
    const runs = await begin(socket, count)
    const perRun = (memoryOf(pid) - before) / count
    await pause(500)
    await call(socket, "revokeAll")
    const acknowledged = performance.now()
    await Promise.race([Promise.all(runs.map((run) => run.until(1))), pause(reachLimit)])
    const delays = runs.map(({ notices }) => Math.max(0, (notices[0]?.at ?? Infinity) - acknowledged))
    for (const run of runs) run.vanish()
    const [middle, last] = [median(delays), Math.max(...delays)]
    return {
      what: `${count} programs reached by the killswitch, median below ${most} ms`,
      tried: 1,
      failed: middle < most ? 0 : 1,
      stats: `after its reply: median ${middle.toFixed(1)} ms, p99 ${quantile(delays, 0.99).toFixed(1)} ms, last ${last.toFixed(1)} ms; ${Math.round(perRun / 1024)} KiB of memory each, with the connection`
    }
  })

/** Acquires per second on so many connections. */
const acquireRate = async (socket: string, connections: number, millis: number): Promise<number> => {
  const until = performance.now() + millis
  let count = 0
  const one = async (n: number) => {
    const client = new Client(socket)
    for (; performance.now() < until; count += 1) await client.ask("lease", { secret_name: "a", client_id: `x${n}` })
    client.close()
  }
  await Promise.all(Array.from({ length: connections }, (_, n) => one(n)))
  return (count * 1000) / millis
}

/** Compares acquires beside a thousand waiting programs with acquires alone, in turns. */
const acquiresBeside = (connections: number): Promise<Row> =>
  onDaemon((alone) =>
    onDaemon(async (busy) => {
      const runs = await begin(busy.socket, 1000)
      const ratios: Array<number> = []
      for (let turn = 0; turn < 7; turn += 1) {
        const without = await acquireRate(alone.socket, connections, 700)
        ratios.push((await acquireRate(busy.socket, connections, 700)) / without)
      }
      for (const run of runs) run.vanish()
      return {
        what: `acquires on ${connections} connections beside 1,000 waiting programs`,
        tried: 1,
        failed: median(ratios) > 0.9 ? 0 : 1,
        stats: `${(median(ratios) * 100).toFixed(0)} % of those alone`
      }
    })
  )

/** Clients that vanish, and clients that wait and never read. */
const badClients = (): Promise<ReadonlyArray<Row>> =>
  onDaemon(async ({ directory, pid, socket }) => {
    const gone = await begin(socket, 200)
    for (const run of gone) run.vanish()
    await pause(6000)
    const left = (await call(socket, "runs.list"))?.result?.total ?? NaN
    const lost = fs.readFileSync(path.join(directory, "audit.log"), "utf8").split("connection lost").length - 1
    const before = memoryOf(pid)
    const deaf = await begin(socket, 200)
    const flood = deaf.map(({ runId }) => {
      const connection = new Connection(socket)
      connection.socket.pause()
      return connection.send(`${requestLine("runs.watch", { run_id: runId, after: 0, timeout: 50 })}\n`.repeat(500))
    })
    for (let n = 0; n < 50; n += 1) await call(socket, "update", { name: "a", value: `${n}` })
    const began = performance.now()
    await call(socket, "revokeAll")
    const took = performance.now() - began
    const grown = (memoryOf(pid) - before) / 1024 / 1024
    for (const { socket: one } of flood) one.destroy()
    for (const run of deaf) run.vanish()
    return [
      {
        what: "programs listed after their starter was killed",
        tried: 200,
        failed: left + Math.abs(200 - lost),
        stats: `after 6 s; ${lost} ends recorded`
      },
      {
        what: "killswitches that took 1 s beside 200 watchers that never read",
        tried: 1,
        failed: took < 1000 ? 0 : 1,
        stats: `${took.toFixed(0)} ms, ${grown.toFixed(0)} MiB more memory`
      }
    ]
  })

export const scenario: Scenario = {
  promise: "every end of a lease reaches the programs that run with its value, and no other",
  rounds: 20,
  run: async (options) => [
    ...(await killRounds(options)),
    ...(await badClients()),
    await reach(1000, 100),
    await reach(10_000, 10_000),
    await acquiresBeside(1),
    await acquiresBeside(32)
  ]
}
