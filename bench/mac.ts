/**
 * `npm run bench -- mac`: what slow flushes cost, as on a Mac's disk: the time until a daemon
 * serves, leases on one connection and on many, a burst of 56 leases, and a stop.
 *
 * A library delays each flush on Linux (test/torture/mac/shim.c), and the daemon runs as if on
 * macOS, where it flushes fewer directories; one row flushes as on Linux. Needs cc.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../test/harness/connection.ts"
import { launch, type Target, untilReady } from "../test/harness/daemon.ts"
import { buildMacShim, macFlush, macVariables } from "../test/harness/macShim.ts"
import { median } from "../test/harness/quantile.ts"
import { asFakeUser } from "../test/support/fakeMac.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { runLoad, secretNames } from "./load.ts"
import { print, rounded } from "./stats.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const seconds = Number(process.env["SECONDS_EACH"] ?? 2)
const burst = 56
const connections = [1, 32, 128]

const cases = [
  ...[0, 5, 10, macFlush, 2 * macFlush].map((delay) => ({ delay, platform: "darwin" })),
  { delay: macFlush, platform: "linux" }
]

const timed = async (work: Promise<unknown>): Promise<number> => {
  const from = performance.now()
  await work
  return performance.now() - from
}

/** Leases at once, each on a connection of its own. */
const burstOf = async (socket: string): Promise<number> => {
  const clients = Array.from({ length: burst }, () => new Client(socket))
  const took = await timed(
    Promise.all(
      clients.map((client, n) => client.ask("lease", { secret_name: secretNames[0], client_id: `burst-${n}` }))
    )
  )
  for (const client of clients) client.close()
  return took
}

/** Starts, loads and stops a daemon on a directory that one has used before. */
const measure = async (start: () => Target): Promise<ReadonlyArray<number>> => {
  const first = await untilReady(start())
  const client = new Client(first.socket)
  for (const name of secretNames) await client.ask("add", { name, value: "made up" })
  client.close()
  await first.end("SIGTERM")
  const target = start()
  const ready = await timed(untilReady(target))
  const loads: Array<number> = []
  for (const count of connections) {
    const load = { socket: target.socket, connections: count, seconds, kind: "acquire", pairs: 1_000 } as const
    const { p50, perSecond } = await runLoad({ ...load, warmUp: 10 })
    loads.push(perSecond)
    if (count === 1) loads.push(p50)
  }
  return [ready, ...loads, await burstOf(target.socket), await timed(target.end("SIGTERM"))]
}

const place = temporaryHome()
const library = buildMacShim(place)
if (library === undefined) throw new Error("this benchmark needs Linux and a C compiler, cc")
const measured = cases.map(() => [] as Array<ReadonlyArray<number>>)
for (let round = 0; round < rounds; round += 1) {
  for (const [at, { delay, platform }] of cases.entries()) {
    const home = path.join(place, `${at}-${round}`)
    fs.mkdirSync(home)
    const options = { home, env: macVariables(library, delay), through: asFakeUser(501, platform) }
    measured[at]?.push(await measure(() => launch(options)))
  }
}
const middle = (at: number, column: number): number => median((measured[at] ?? []).map((row) => row[column] ?? 0))
const whole = (at: number, column: number): number => Math.round(middle(at, column))
print("mac", {
  rounds,
  seconds,
  "as a Mac's disk": cases.map(({ delay, platform }, at) => ({
    "ms a flush": delay,
    flushes: platform === "darwin" ? "as on macOS" : "as on Linux",
    "serves after ms": whole(at, 0),
    "leases/s on 1": whole(at, 1),
    "p50 ms": rounded(middle(at, 2), 1),
    "on 32": whole(at, 3),
    "on 128": whole(at, 4),
    [`${burst} at once ms`]: whole(at, 5),
    "stop ms": whole(at, 6)
  }))
})
fs.rmSync(place, { recursive: true, force: true })
