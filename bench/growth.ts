/**
 * `npm run bench -- growth`: whether the daemon slows down with the number of leases it holds.
 * One daemon holds a hundred and one a hundred thousand; both get the same load in turns.
 */
import { median } from "../test/harness/quantile.ts"
import type { Outcome } from "./load.ts"
import { runLoad } from "./load.ts"
import { pingDuring } from "./ping.ts"
import { print, rounded } from "./stats.ts"
import { type Subject, withDaemon, withPredecessor } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 5)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1)
const few = 100
const many = Number(process.env["LEASES"] ?? 100_000)

/** Sends both daemons the same number of acquires, so that they differ only in the leases they hold. */
const fill = ({ socket }: Subject, pairs: number, answers = many) =>
  runLoad({ socket, connections: 128, answers, kind: "acquire", pairs, order: "sequence" })

const curvePoint = (held: number, outcome: Outcome) => ({
  "leases held": held,
  "per second": Math.round(outcome.perSecond),
  "p50 ms": rounded(outcome.p50, 3),
  "p99 ms": rounded(outcome.p99)
})

/** Loads one connection while the number of leases grows. */
const curve = async (large: Subject) => {
  const rows = []
  const counts = [few, 1_000, 3_000, 5_600, 10_000, 30_000, many].filter((held) => held <= many)
  for (const held of counts) {
    await fill(large, held, held)
    const load = { connections: 1, seconds, warmUp: 100, kind: "acquire", pairs: held } as const
    rows.push(curvePoint(held, await runLoad({ socket: large.socket, ...load })))
  }
  return rows
}

/** The same for the Go program, which starts with so many leases. */
const predecessorCurve = async () => {
  const rows = []
  for (const held of [few, 1_000, 3_000, 5_600]) {
    const outcome = await withPredecessor(
      async (socket) =>
        socket && runLoad({ socket, connections: 1, seconds: 2 * seconds, warmUp: 3, kind: "acquire", pairs: held }),
      held
    )
    if (outcome) rows.push(curvePoint(held, outcome))
  }
  return rows
}

const latency = async (small: Subject, large: Subject) => {
  const measured = new Map<string, Array<readonly [Outcome, Outcome]>>()
  for (let round = 0; round < rounds; round += 1) {
    for (const connections of [1, 32]) {
      const ask = ({ socket }: Subject, pairs: number) =>
        runLoad({ socket, connections, seconds, warmUp: 200, kind: "acquire", pairs })
      // The order alternates, so that neither always runs on the warmer machine.
      const first = round % 2 === 0 ? await ask(small, few) : undefined
      const second = await ask(large, many)
      const both = [first ?? (await ask(small, few)), second] as const
      measured.set(`${connections}`, [...(measured.get(`${connections}`) ?? []), both])
    }
  }
  return [...measured].map(([connections, pairs]) => {
    const value = (at: 0 | 1, key: "p50" | "p99") => rounded(median(pairs.map((both) => both[at][key])), 3)
    const ratio = (key: "p50" | "p99") => rounded(median(pairs.map(([one, other]) => other[key] / one[key])))
    return {
      connections,
      [`p50 at ${few}`]: value(0, "p50"),
      [`p50 at ${many}`]: value(1, "p50"),
      "p50 ratio": ratio("p50"),
      [`p99 at ${few}`]: value(0, "p99"),
      [`p99 at ${many}`]: value(1, "p99"),
      "p99 ratio": ratio("p99")
    }
  })
}

await withDaemon((small) =>
  withDaemon(async (large) => {
    await fill(small, few)
    const points = await curve(large)
    await fill(large, many)
    const table = await latency(small, large)
    const trickle = () =>
      runLoad({ socket: large.socket, connections: 1, seconds: 5, kind: "acquire", pairs: many, pauseMillis: 20 })
    const pings = [await pingDuring("one checkpoint after the other", small, large, 5, trickle)]
    const predecessor = await predecessorCurve()
    print("growth", {
      rounds,
      seconds,
      few,
      many,
      curve: points,
      ...(predecessor.length > 0 && { predecessor }),
      latency: table,
      pings
    })
  })
)
