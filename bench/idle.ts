/**
 * `npm run bench -- idle`: the cost of an idle daemon. Measures the time until it is ready
 * beside a bare start of Node, its resident memory, and its processor time at rest.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { pause } from "../test/harness/program.ts"
import { median } from "../test/harness/quantile.ts"
import { mebibytes, print, rounded } from "./stats.ts"
import { processorMillis, residentBytes, withDaemon } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 15)
const restSeconds = Number(process.env["SECONDS_EACH"] ?? 30)

const bareStart = async (): Promise<number> => {
  const from = performance.now()
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit")
  return performance.now() - from
}

/** The memory of Node before it runs any code of ours. */
const bareMemory = async (): Promise<number> => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6); console.log()"], {
    stdio: ["ignore", "pipe", "ignore"]
  })
  await once(child.stdout, "data")
  const bytes = residentBytes(child.pid ?? 0)
  child.kill("SIGKILL")
  return bytes
}

await withDaemon(async (daemon) => {
  const starts: Array<{ readonly bare: number; readonly own: number }> = []
  for (let round = 0; round < rounds; round += 1) starts.push({ bare: await bareStart(), own: await daemon.restart() })
  // V8 collects garbage for half a minute after a start, which costs more than the rest.
  await pause(45_000)
  const before = processorMillis(daemon.pid())
  await pause(restSeconds * 1000)
  const used = processorMillis(daemon.pid()) - before
  print("idle", {
    rounds,
    restSeconds,
    start: [
      {
        "node -e 0 ms": Math.round(median(starts.map(({ bare }) => bare))),
        "ready after ms": Math.round(median(starts.map(({ own }) => own))),
        "of node -e 0": rounded(median(starts.map(({ bare, own }) => own / bare)))
      }
    ],
    rest: [
      {
        "resident MiB": mebibytes(residentBytes(daemon.pid())),
        "bare node MiB": mebibytes(await bareMemory()),
        "processor ms a minute": rounded((used * 60) / restSeconds, 1)
      }
    ]
  })
})
