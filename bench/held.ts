/**
 * `npm run bench -- held`: the cost of a hundred thousand leases in memory, at a start, and
 * when all of them expire. A second daemon has served as many requests and holds a hundred.
 *
 * Resident memory is read after half a minute of rest, when the last checkpoint is written
 * and V8 has returned what it does not use.
 */
import { Client } from "../test/harness/connection.ts"
import { pause } from "../test/harness/program.ts"
import { median } from "../test/harness/quantile.ts"
import { runLoad } from "./load.ts"
import { pingDuring } from "./ping.ts"
import { mebibytes, print } from "./stats.ts"
import { residentBytes, type Subject, withDaemon } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const restSeconds = 30
const few = 100
const many = Number(process.env["LEASES"] ?? 100_000)
/** Seconds. Long enough that no lease expires before the last one is issued. */
const shortTtl = 14

/** Sends both daemons the same number of acquires, so that they differ only in the leases they hold. */
const fill = ({ socket }: Subject, pairs: number, ttl = "1h") =>
  runLoad({ socket, connections: 128, answers: many, kind: "acquire", pairs, order: "sequence", ttl })

const active = async (client: Client): Promise<number> => {
  const answer = await client.ask("status", {})
  return answer?.result?.active_leases ?? Number.NaN
}

const starts = async (small: Subject, large: Subject) => {
  const times: Array<readonly [number, number]> = []
  for (let round = 0; round < rounds; round += 1) times.push([await small.restart(), await large.restart()])
  return [
    {
      [`start with ${few} ms`]: Math.round(median(times.map(([one]) => one))),
      [`start with ${many} ms`]: Math.round(median(times.map(([, other]) => other))),
      "difference ms": Math.round(median(times.map(([one, other]) => other - one)))
    }
  ]
}

await withDaemon((small) =>
  withDaemon(async (large) => {
    await fill(small, few)
    await fill(large, many)
    await pause(restSeconds * 1000)
    const [ofFew, ofMany] = [residentBytes(small.pid()), residentBytes(large.pid())]
    const memory = [
      {
        [`MiB with ${few}`]: mebibytes(ofFew),
        [`MiB with ${many}`]: mebibytes(ofMany),
        "bytes per lease": Math.round((ofMany - ofFew) / (many - few))
      }
    ]
    const start = await starts(small, large)
    await fill(large, many, `${shortTtl}s`)
    const client = new Client(large.socket)
    const swept = async () => {
      const until = performance.now() + (shortTtl + 16) * 1000
      while ((await active(client)) > 0 && performance.now() < until) await pause(500)
    }
    const pings = [await pingDuring(`${many} leases expire and are swept`, small, large, shortTtl + 16, swept)]
    client.close()
    print("held", { rounds, few, many, memory, start, pings })
  })
)
