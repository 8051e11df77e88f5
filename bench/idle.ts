/**
 * `npm run bench -- idle`: what the daemon costs when nobody asks for anything: how
 * long until it serves, beside a bare start of Node in the same round; its resident
 * memory; and the processor time of half a minute of rest.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { median, print } from "./stats.ts"
import { processorMillis, residentBytes, withDaemon } from "./subject.ts"
import { pause } from "../test/harness/program.ts"

const rounds = Number(process.env["ROUNDS"] ?? 15)
const restSeconds = Number(process.env["SECONDS_EACH"] ?? 30)

const bareStart = async (): Promise<number> => {
  const from = performance.now()
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit")
  return performance.now() - from
}

/** A Node that does nothing, for the memory that is there before the first line of ours. */
const bareMemory = async (): Promise<number> => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6); console.log()"], {
    stdio: ["ignore", "pipe", "ignore"]
  })
  await once(child.stdout, "data")
  const bytes = residentBytes(child.pid ?? 0)
  child.kill("SIGKILL")
  return bytes
}

const digits = (value: number, count = 1): number => Number(value.toFixed(count))

await withDaemon(async (daemon) => {
  const starts: Array<{ readonly bare: number; readonly own: number }> = []
  for (let round = 0; round < rounds; round += 1) starts.push({ bare: await bareStart(), own: await daemon.restart() })
  // For half a minute the engine cleans up after the start, which costs more than the rest.
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
        "until it serves ms": Math.round(median(starts.map(({ own }) => own))),
        "times the bare start": digits(median(starts.map(({ bare, own }) => own / bare)), 2)
      }
    ],
    rest: [
      {
        "resident MiB": digits(residentBytes(daemon.pid()) / 1024 / 1024),
        "bare node MiB": digits((await bareMemory()) / 1024 / 1024),
        "processor ms a minute": digits((used * 60) / restSeconds)
      }
    ]
  })
})
