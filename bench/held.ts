/**
 * `npm run bench -- held`: what a hundred thousand leases weigh: in memory, at a
 * start, and when all of them expire. Beside it a daemon that has come as far and
 * holds a hundred.
 *
 * Memory is the resident memory of the process after half a minute of rest: by then
 * the last checkpoint is written, and the engine, that collects in its own time, has
 * given back what it does not use.
 */
import { median, print } from "./stats.ts"
import { runLoad } from "./load.ts"
import { residentBytes, type Subject, withDaemon } from "./subject.ts"
import { meanwhile } from "./ping.ts"
import { Client } from "../test/harness/connection.ts"
import { pause } from "../test/harness/program.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const restSeconds = 30
const few = 100
const many = Number(process.env["LEASES"] ?? 100_000)
/** Long enough that none is over before the last is issued, and short enough to wait for. */
const shortTtl = 14

const mebibytes = (bytes: number): number => Number((bytes / 1024 / 1024).toFixed(1))

/** As many acquires for both, so that both have come as far in every other respect. */
const fill = ({ socket }: Subject, pairs: number, ttl = "1h") =>
  runLoad({ socket, connections: 128, answers: many, kind: "acquire", pairs, order: "sequence", ttl })

const active = async (client: Client): Promise<number> => {
  const answer = await client.ask("status", {})
  return answer?.result?.active_leases ?? Number.NaN
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
    await pause(restSeconds * 1000)
    const memory = [
      {
        [`MiB with ${few}`]: mebibytes(residentBytes(small.pid())),
        [`MiB with ${many}`]: mebibytes(residentBytes(large.pid())),
        "bytes each": Math.round((residentBytes(large.pid()) - residentBytes(small.pid())) / (many - few))
      }
    ]
    const start = await starts(small, large)
    await fill(large, many, `${shortTtl}s`)
    const client = new Client(large.socket)
    const swept = async () => {
      const until = performance.now() + (shortTtl + 16) * 1000
      while ((await active(client)) > 0 && performance.now() < until) await pause(500)
    }
    const pings = [await meanwhile("all of them expire and are swept", small, large, shortTtl + 16, swept)]
    client.close()
    print("held", { rounds, few, many, memory, start, pings })
  })
)
