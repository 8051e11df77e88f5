/**
 * `npm run bench -- growth`: whether the daemon slows down with what it holds. Two
 * daemons side by side, one with a hundred leases and one with a hundred thousand,
 * are asked for the same in turns; then both are started again.
 *
 * What the checkpoint and the sweep are in the way of is seen from outside: a client
 * asks for the status each millisecond meanwhile. The small daemon, asked at the same
 * time, tells what of it is the machine.
 */
import { median, print } from "./figures.ts"
import type { Outcome } from "./load.ts"
import { runLoad } from "./load.ts"
import { residentBytes, type Subject, withDaemon } from "./subject.ts"
import { Client, pause } from "../test/torture/victim.ts"

const rounds = Number(process.env["ROUNDS"] ?? 5)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1)
const few = 100
const many = Number(process.env["LEASES"] ?? 100_000)
/** Long enough that none is over before the last is issued, and short enough to wait for. */
const shortTtl = 14

const digits = (value: number, count = 2): number => Number(value.toFixed(count))
const mebibytes = (bytes: number): number => digits(bytes / 1024 / 1024, 1)

/** As many acquires for both, so that both have come as far in every other respect. */
const fill = ({ socket }: Subject, pairs: number, ttl = "1h") =>
  runLoad({ socket, connections: 128, answers: many, kind: "acquire", pairs, order: "sequence", ttl })

const ping = ({ socket }: Subject, forSeconds: number) =>
  runLoad({ socket, connections: 1, seconds: forSeconds, kind: "status", pairs: 1, pauseMillis: 1 })

const active = async (client: Client): Promise<number> => {
  const answer = await client.ask("status", {})
  return answer?.result?.active_leases ?? Number.NaN
}

const latency = async (small: Subject, large: Subject) => {
  const measured = new Map<string, Array<readonly [Outcome, Outcome]>>()
  for (let round = 0; round < rounds; round += 1) {
    for (const connections of [1, 32]) {
      const ask = ({ socket }: Subject, pairs: number) =>
        runLoad({ socket, connections, seconds, warmUp: 200, kind: "acquire", pairs })
      // Who comes first changes, so that neither always has the warmer machine.
      const first = round % 2 === 0 ? await ask(small, few) : undefined
      const second = await ask(large, many)
      const both = [first ?? (await ask(small, few)), second] as const
      measured.set(`${connections}`, [...(measured.get(`${connections}`) ?? []), both])
    }
  }
  return [...measured].map(([connections, pairs]) => {
    const figure = (at: 0 | 1, key: "p50" | "p99") => digits(median(pairs.map((both) => both[at][key])), 3)
    const ratio = (key: "p50" | "p99") => digits(median(pairs.map(([one, other]) => other[key] / one[key])))
    return {
      connections,
      [`p50 at ${few}`]: figure(0, "p50"),
      [`p50 at ${many}`]: figure(1, "p50"),
      "p50 ratio": ratio("p50"),
      [`p99 at ${few}`]: figure(0, "p99"),
      [`p99 at ${many}`]: figure(1, "p99"),
      "p99 ratio": ratio("p99")
    }
  })
}

/** What a ping meets while something goes on at the large daemon, and what at the small one where nothing does. */
const meanwhile = async (
  what: string,
  small: Subject,
  large: Subject,
  forSeconds: number,
  work: () => Promise<unknown>
) => {
  const [waits, control] = await Promise.all([ping(large, forSeconds), ping(small, forSeconds), work()])
  return {
    meanwhile: what,
    pings: waits.answers,
    "p99 ms": digits(waits.p99),
    "longest ms": digits(waits.max),
    "beyond 10 ms": waits.long,
    "longest at the idle daemon ms": digits(control.max),
    "beyond 10 ms there": control.long
  }
}

const starts = async (small: Subject, large: Subject) => {
  const times: Array<readonly [number, number]> = []
  for (let round = 0; round < rounds; round += 1) times.push([await small.restart(), await large.restart()])
  const [none, all] = [median(times.map(([one]) => one)), median(times.map(([, other]) => other))]
  return [
    {
      [`start with ${few} ms`]: Math.round(none),
      [`start with ${many} ms`]: Math.round(all),
      "more ms": Math.round(median(times.map(([one, other]) => other - one)))
    }
  ]
}

await withDaemon((small) =>
  withDaemon(async (large) => {
    await fill(small, few)
    await fill(large, many)
    // The last checkpoint is behind it.
    await pause(2_000)
    const memory = [
      {
        [`MiB with ${few}`]: mebibytes(residentBytes(small.pid())),
        [`MiB with ${many}`]: mebibytes(residentBytes(large.pid())),
        "bytes each": Math.round((residentBytes(large.pid()) - residentBytes(small.pid())) / (many - few))
      }
    ]
    const table = await latency(small, large)
    const trickle = () =>
      runLoad({ socket: large.socket, connections: 1, seconds: 5, kind: "acquire", pairs: many, pauseMillis: 20 })
    const pings = [await meanwhile("a checkpoint after the other", small, large, 5, trickle)]
    const start = await starts(small, large)
    await fill(large, many, `${shortTtl}s`)
    const client = new Client(large.socket)
    const swept = async () => {
      const until = performance.now() + (shortTtl + 16) * 1000
      while ((await active(client)) > 0 && performance.now() < until) await pause(500)
    }
    pings.push(await meanwhile("all of them expire and are swept", small, large, shortTtl + 16, swept))
    client.close()
    print("growth", { rounds, seconds, few, many, latency: table, memory, start, pings })
  })
)
