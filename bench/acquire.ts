/**
 * `npm run bench -- acquire`: what a durable lease costs, on one connection and on
 * many, and a mix of requests. Beside each round its floors: raw appends of as many
 * bytes with an fdatasync each, one line there and back, and a bare server that
 * commits in groups as well.
 *
 * PREDECESSOR=/path/to/secrets measures the Go program in the same rounds.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { median, print } from "./stats.ts"
import { rawAppends, withServer } from "./floors.ts"
import type { Outcome } from "./load.ts"
import { runLoad } from "./load.ts"
import { predecessor, withDaemon, withPredecessor } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1)
/** The acquires are of pairs that are held already, so that each of them replaces: that is the usual one, and the dearer. */
const pairs = 1_000
const counts = [1, 8, 32, 128]

const digits = (value: number, count = 2): number => Number(value.toFixed(count))
const measured = new Map<string, Array<Outcome>>()
const floors = { perSecond: [] as number[], p50: [] as number[], echo: [] as number[] }
/** Of each figure, its relation to a floor in the same round. */
const ratios = new Map<string, Array<number>>()

const note = <A>(map: Map<string, Array<A>>, name: string, value: A): void => {
  const known = map.get(name)
  if (known === undefined) map.set(name, [value])
  else known.push(value)
}

const figure = (name: string, key: keyof Outcome): number => median((measured.get(name) ?? []).map((one) => one[key]))

const bytesOfLog = (directory: string): number => fs.statSync(path.join(directory, "audit.log")).size

await withServer("echo", (echo) =>
  withServer("bare", (bare) =>
    withDaemon(async (daemon) =>
      withPredecessor(async (go) => {
        const ask = (socket: string, connections: number, kind: "acquire" | "mix", warmUp = 200) =>
          runLoad({ socket, connections, seconds, warmUp, kind, pairs })
        // All pairs are held from here on, and the first thousands, that run uncompiled, are over.
        await runLoad({
          socket: daemon.socket,
          connections: 32,
          answers: 10 * pairs,
          kind: "acquire",
          pairs,
          order: "sequence"
        })
        await ask(bare, 32, "acquire", 10_000)
        const before = bytesOfLog(daemon.directory)
        const counted = await runLoad({ socket: daemon.socket, connections: 1, answers: 100, kind: "acquire", pairs })
        const bytes = Math.round((bytesOfLog(daemon.directory) - before) / counted.answers)
        for (let round = 0; round < rounds; round += 1) {
          for (const connections of counts) {
            const raw = await rawAppends(bytes, seconds)
            const there = await runLoad({ socket: echo, connections: 1, seconds: seconds / 2, kind: "status", pairs })
            const own = await ask(daemon.socket, connections, "acquire")
            const mix = await ask(daemon.socket, connections, "mix")
            note(measured, `acquire ${connections}`, own)
            note(measured, `mix ${connections}`, mix)
            note(measured, `bare ${connections}`, await ask(bare, connections, "acquire"))
            if (go !== undefined)
              note(measured, `predecessor ${connections}`, await ask(go, connections, "acquire", 20))
            floors.perSecond.push(raw.perSecond)
            floors.p50.push(raw.p50)
            floors.echo.push(there.p50)
            note(ratios, `p50 ${connections}`, own.p50 / (raw.p50 + there.p50))
            note(ratios, `acquire ${connections}`, own.perSecond / raw.perSecond)
            note(ratios, `mix ${connections}`, mix.perSecond / raw.perSecond)
          }
        }
        const rows = (kind: "acquire" | "mix" | "bare" | "predecessor") =>
          counts.map((connections) => ({
            connections,
            "per second": Math.round(figure(`${kind} ${connections}`, "perSecond")),
            "p50 ms": digits(figure(`${kind} ${connections}`, "p50"), 3),
            "p99 ms": digits(figure(`${kind} ${connections}`, "p99")),
            "max ms": digits(figure(`${kind} ${connections}`, "max"))
          }))
        const related = (kind: "acquire" | "mix") =>
          rows(kind).map((row) => ({
            ...row,
            "times raw appends": digits(median(ratios.get(`${kind} ${row.connections}`) ?? [])),
            "of the bare server": digits(row["per second"] / figure(`bare ${row.connections}`, "perSecond"))
          }))
        print("acquire", {
          rounds,
          seconds,
          bytes,
          floors: [
            {
              floor: `append of ${bytes} bytes and fdatasync`,
              "per second": Math.round(median(floors.perSecond)),
              "p50 ms": digits(median(floors.p50), 3)
            },
            { floor: "a line there and back", "per second": "", "p50 ms": digits(median(floors.echo), 3) }
          ],
          "one connection": [
            {
              "p50 ms": digits(figure("acquire 1", "p50"), 3),
              "floors ms": digits(median(floors.p50) + median(floors.echo), 3),
              "times the floors": digits(median(ratios.get("p50 1") ?? []))
            }
          ],
          acquire: related("acquire"),
          mix: related("mix"),
          "bare server": rows("bare"),
          ...(go === undefined ? {} : { [predecessor]: rows("predecessor") })
        })
      })
    )
  )
)
