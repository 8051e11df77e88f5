/**
 * `npm run bench -- million`: a million acquires of a thousand pairs. Memory and files must be
 * as large at the end as after the first ten thousand: the daemon keeps its state, not its
 * history. Takes minutes, so it runs only when named.
 *
 * Memory is read under load, and again after a rest in which V8 returns unused memory.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { pause } from "../test/harness/program.ts"
import { runLoad } from "./load.ts"
import { mebibytes, print, rounded } from "./stats.ts"
import { residentBytes, type Subject, withDaemon } from "./subject.ts"

const acquires = Number(process.env["ACQUIRES"] ?? 1_000_000)
const pairs = 1_000
const first = 10_000
const restSeconds = 30

const measure = (daemon: Subject, done: number, when: string, perSecond = 0) => ({
  acquires: done,
  when,
  "per second": perSecond === 0 ? "" : Math.round(perSecond),
  "resident MiB": mebibytes(residentBytes(daemon.pid())),
  "leases.json MiB": mebibytes(fs.statSync(path.join(daemon.directory, "leases.json")).size),
  "all files MiB": mebibytes(
    fs
      .readdirSync(daemon.directory)
      .map((name) => fs.lstatSync(path.join(daemon.directory, name)).size)
      .reduce((sum, size) => sum + size, 0)
  )
})

await withDaemon(async (daemon) => {
  const rows: Array<ReturnType<typeof measure>> = []
  const load = (answers: number) =>
    runLoad({ socket: daemon.socket, connections: 64, answers, kind: "acquire", pairs, order: "sequence" })
  let done = 0
  for (const until of [first, acquires / 4, acquires / 2, acquires]) {
    const { perSecond } = await load(until - done)
    done = until
    rows.push(measure(daemon, done, "under load", perSecond))
    if (until !== first && until !== acquires) continue
    await pause(restSeconds * 1000)
    rows.push(measure(daemon, done, `after ${restSeconds} s of rest`))
  }
  const ratio = (one: number, other: number) =>
    rounded((rows[other]?.["resident MiB"] ?? Number.NaN) / (rows[one]?.["resident MiB"] ?? Number.NaN))
  print("million", {
    pairs,
    growth: rows,
    "memory at the end / after the first": [{ "under load": ratio(0, 4), "after a rest": ratio(1, 5) }]
  })
})
