/**
 * `npm run bench -- proxy`: what a request costs through the worker of the proxy, beside a bare proxy on node:http and
 * undici, and beside the upstream alone, in turns. The worker has the bench in the place of the daemon. Then a daemon is measured
 * while its own worker carries gigabytes.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type Dispatcher, Pool } from "undici"
import { memoryOf, WorkerProcess } from "../test/harness/proxyWorker.ts"
import { pause } from "../test/harness/program.ts"
import { median, quantile } from "../test/harness/quantile.ts"
import { newToken, routeTo } from "../test/support/proxy.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { besideGigabytes } from "./proxyBeside.ts"
import { peerHost, read, type UpstreamPeer, withPeer } from "./proxyPeers.ts"
import { mebibytes, print, rounded } from "./stats.ts"
import { processorMillis } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 7)
const millis = Number(process.env["SECONDS_EACH"] ?? 1) * 1000
const gigabyte = 1024 ** 3

const load = async (pool: Dispatcher, token: string, connections: number) => {
  const waits: Array<number> = []
  const until = performance.now() + millis
  const one = async () => {
    for (let now = performance.now(); now < until;) {
      await read(pool, "/small", token)
      const then = performance.now()
      waits.push(then - now)
      now = then
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  return { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), perSecond: (waits.length * 1000) / millis }
}

/** Returns the milliseconds from the upstream's write of an event to its arrival. */
const events = async (pool: Dispatcher, token: string): Promise<ReadonlyArray<number>> => {
  const delays: Array<number> = []
  await read(pool, "/events?count=100", token, (piece) => {
    const now = process.hrtime.bigint()
    for (const [, at = "0"] of piece.toString().matchAll(/data: (\d+)/g)) delays.push(Number(now - BigInt(at)) / 1e6)
  })
  return delays
}

const download = async (pool: Dispatcher, token: string, pid: number) => {
  const [began, busyBefore] = [performance.now(), processorMillis(pid)]
  let bytes = 0
  const samples: Array<number> = []
  const timer = setInterval(() => samples.push(memoryOf(pid, "VmRSS")), 100)
  await read(pool, `/bytes?count=${gigabyte}`, token, (piece) => void (bytes += piece.length))
  clearInterval(timer)
  const busy = processorMillis(pid) - busyBefore
  return {
    perSecond: (bytes * 1000) / (performance.now() - began) / 1e6,
    perBusySecond: (bytes * 1000) / busy / 1e6,
    peak: Math.max(...samples)
  }
}

type Sample = Record<string, number>

const report = (samples: ReadonlyArray<Sample>, memory: Sample, beside: ReadonlyArray<object>): void => {
  const middle = (name: string, digits = 2) => rounded(median(samples.flatMap((one) => one[name] ?? [])), digits)
  print("proxy", {
    rounds,
    samples,
    memory,
    requests: [1, 32].map((connections) => ({
      connections,
      "bare p50 ms": middle(`bare p50 ${connections}`, 3),
      "worker p50 ms": middle(`worker p50 ${connections}`, 3),
      "times the bare one": middle(`p50 ${connections}`),
      "bare per second": middle(`bare rate ${connections}`, 0),
      "worker per second": middle(`worker rate ${connections}`, 0),
      "of the bare one": middle(`rate ${connections}`)
    })),
    "events, from the upstream's write": [
      { way: "direct", "p50 ms": middle("direct event p50", 3), "p99 ms": middle("direct event p99") },
      { way: "worker", "p50 ms": middle("worker event p50", 3), "p99 ms": middle("worker event p99") }
    ],
    "one gigabyte, masked": [
      {
        "bare MB per second": middle("bare gigabyte", 0),
        "MB per second": middle("gigabyte", 0),
        "MB per processor second": middle("busy gigabyte", 0),
        "peak MiB": mebibytes(memory["peak"] ?? 0),
        "at rest MiB": mebibytes(memory["rest"] ?? 0),
        "ready after ms": rounded(memory["ready"] ?? 0, 0)
      }
    ],
    "the daemon meanwhile": beside
  })
}

await withPeer(["upstream"], async (printed) => {
  const { ca, port }: UpstreamPeer = JSON.parse(printed)
  const home = temporaryHome()
  const bareSocket = path.join(home, "bare")
  await withPeer(["bare", bareSocket, String(port), ca], async () => {
    const worker = new WorkerProcess(["--max-semi-space-size=1", "--max-old-space-size=96"])
    const ready = await worker.ready()
    await pause(500)
    const memory: Sample = { ready, rest: memoryOf(worker.pid, "VmRSS"), peak: 0 }
    const token = newToken()
    await worker.open([routeTo({ ca, port }, token, { upstream: { host: peerHost, port, path: "" } })])
    const pools = {
      bare: new Pool("http://127.0.0.1", { socketPath: bareSocket, connections: 32 }),
      worker: new Pool("http://127.0.0.1", { socketPath: worker.socket, connections: 32 }),
      direct: new Pool(`https://${peerHost}:${port}`, { connections: 32, allowH2: false, connect: { ca } })
    }
    const samples: Array<Sample> = []
    for (let round = 0; round <= rounds; round += 1) {
      const sample: Sample = {}
      for (const connections of [1, 32]) {
        const [bare, own] = [await load(pools.bare, token, connections), await load(pools.worker, token, connections)]
        Object.assign(sample, {
          [`bare p50 ${connections}`]: bare.p50,
          [`worker p50 ${connections}`]: own.p50,
          [`p50 ${connections}`]: own.p50 / bare.p50,
          [`bare rate ${connections}`]: bare.perSecond,
          [`worker rate ${connections}`]: own.perSecond,
          [`rate ${connections}`]: own.perSecond / bare.perSecond
        })
      }
      for (const way of ["direct", "worker"] as const) {
        const delays = await events(pools[way], token)
        Object.assign(sample, {
          [`${way} event p50`]: quantile(delays, 0.5),
          [`${way} event p99`]: quantile(delays, 0.99)
        })
      }
      if (round < 3) {
        sample["bare gigabyte"] = (await download(pools.bare, token, worker.pid)).perSecond
        const { peak, perBusySecond, perSecond } = await download(pools.worker, token, worker.pid)
        Object.assign(sample, { gigabyte: perSecond, "busy gigabyte": perBusySecond })
        memory["peak"] = Math.max(memory["peak"] ?? 0, peak)
      }
      // V8 compiles the code in the first one.
      if (round > 0) samples.push(sample)
    }
    await worker.end()
    report(samples, memory, await besideGigabytes({ ca, port }, pools.bare, Math.min(rounds, 3)))
    await Promise.all(Object.values(pools).map((pool) => pool.destroy()))
  })
  fs.rmSync(home, { recursive: true, force: true })
})
