/**
 * `npm run bench -- acquire`: the cost of a durable lease, on one connection and on many, and
 * of a mix of requests.
 *
 * Each round measures its floors too: raw appends of as many bytes with an fdatasync each, and
 * one line to a server and back. The third floor is a bare server with group commit.
 *
 * PREDECESSOR=/path/to/secrets measures the Go program in the same rounds.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { median } from "../test/harness/quantile.ts"
import { rawAppends, withServer } from "./floors.ts"
import type { Outcome } from "./load.ts"
import { runLoad } from "./load.ts"
import { print, rounded } from "./stats.ts"
import { predecessor, withDaemon, withPredecessor } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1)
/** Every pair already holds a lease, so each acquire replaces one: the usual case, and the more expensive one. */
const pairs = 1_000
const counts = [1, 8, 32, 128]
/** How many clients open a connection for each acquire. */
const freshCounts = [1, 8]

const measured = new Map<string, Array<Outcome>>()
const floors = { perSecond: [] as number[], p50: [] as number[], echo: [] as number[] }
/** Ratios to the floor of the same round. */
const ratios = new Map<string, Array<number>>()

const add = <A>(map: Map<string, Array<A>>, name: string, value: A): void => {
  map.set(name, [...(map.get(name) ?? []), value])
}

const middle = (name: string, key: keyof Outcome): number => median((measured.get(name) ?? []).map((one) => one[key]))

const bytesOfLog = (directory: string): number => fs.statSync(path.join(directory, "audit.log")).size

const rows = (kind: "acquire" | "mix" | "bare" | "predecessor" | "fresh" | "bare fresh", at = counts) =>
  at.map((connections) => ({
    connections,
    "per second": Math.round(middle(`${kind} ${connections}`, "perSecond")),
    "p50 ms": rounded(middle(`${kind} ${connections}`, "p50"), 3),
    "p99 ms": rounded(middle(`${kind} ${connections}`, "p99")),
    "max ms": rounded(middle(`${kind} ${connections}`, "max"))
  }))

const rowsWithRatios = (kind: "acquire" | "mix") =>
  rows(kind).map((row) => ({
    ...row,
    "times raw appends": rounded(median(ratios.get(`${kind} ${row.connections}`) ?? [])),
    "of the bare server": rounded(row["per second"] / middle(`bare ${row.connections}`, "perSecond"))
  }))

const report = (bytes: number, hasPredecessor: boolean): void =>
  print("acquire", {
    rounds,
    seconds,
    bytes,
    floors: [
      {
        floor: `append of ${bytes} bytes and fdatasync`,
        "per second": Math.round(median(floors.perSecond)),
        "p50 ms": rounded(median(floors.p50), 3)
      },
      { floor: "one line to a server and back", "per second": "", "p50 ms": rounded(median(floors.echo), 3) }
    ],
    "one connection": [
      {
        "p50 ms": rounded(middle("acquire 1", "p50"), 3),
        "floors ms": rounded(median(floors.p50) + median(floors.echo), 3),
        "times the floors": rounded(median(ratios.get("p50 1") ?? []))
      }
    ],
    acquire: rowsWithRatios("acquire"),
    mix: rowsWithRatios("mix"),
    "bare server": rows("bare"),
    "a connection for each": rows("fresh", freshCounts).map((row) => ({
      ...row,
      "of the bare server": rounded(row["per second"] / middle(`bare fresh ${row.connections}`, "perSecond"))
    })),
    ...(hasPredecessor && { [predecessor]: rows("predecessor") })
  })

await withServer("echo", (echo) =>
  withServer("bare", (bare) =>
    withDaemon((daemon) =>
      withPredecessor(async (go) => {
        const { directory, socket } = daemon
        const ask = (target: string, connections: number, kind: "acquire" | "mix", warmUp = 200) =>
          runLoad({ socket: target, connections, seconds, warmUp, kind, pairs })
        const visit = (target: string, connections: number) =>
          runLoad({ socket: target, connections, seconds, warmUp: 200, kind: "acquire", pairs, fresh: true })
        // Every pair holds a lease from here on, and V8 has compiled the code.
        await runLoad({ socket, connections: 32, answers: 10 * pairs, kind: "acquire", pairs, order: "sequence" })
        await ask(bare, 32, "acquire", 10_000)
        const before = bytesOfLog(directory)
        const counted = await runLoad({ socket, connections: 1, answers: 100, kind: "acquire", pairs })
        const bytes = Math.round((bytesOfLog(directory) - before) / counted.answers)
        for (let round = 0; round < rounds; round += 1) {
          for (const connections of counts) {
            const raw = await rawAppends(bytes, seconds)
            const trip = await runLoad({ socket: echo, connections: 1, seconds: seconds / 2, kind: "status", pairs })
            const own = await ask(socket, connections, "acquire")
            const mix = await ask(socket, connections, "mix")
            add(measured, `acquire ${connections}`, own)
            add(measured, `mix ${connections}`, mix)
            add(measured, `bare ${connections}`, await ask(bare, connections, "acquire"))
            if (go !== undefined) add(measured, `predecessor ${connections}`, await ask(go, connections, "acquire", 20))
            floors.perSecond.push(raw.perSecond)
            floors.p50.push(raw.p50)
            floors.echo.push(trip.p50)
            add(ratios, `p50 ${connections}`, own.p50 / (raw.p50 + trip.p50))
            add(ratios, `acquire ${connections}`, own.perSecond / raw.perSecond)
            add(ratios, `mix ${connections}`, mix.perSecond / raw.perSecond)
          }
          for (const connections of freshCounts) {
            add(measured, `fresh ${connections}`, await visit(socket, connections))
            add(measured, `bare fresh ${connections}`, await visit(bare, connections))
          }
        }
        report(bytes, go !== undefined)
      })
    )
  )
)
