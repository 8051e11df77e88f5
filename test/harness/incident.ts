/**
 * Replays the incident of 2026-02-22 with real processes and files: a worker leases 56
 * secrets for 24 hours and is started 47 times. The predecessor held 2,632 leases afterwards.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryHome } from "../support/temporary.ts"
import { Client } from "./connection.ts"
import { resultOf, secretCount } from "./incidentWorker.ts"
import { auditOf, launch, untilReady } from "./daemon.ts"

const startCount = 47
const worker = path.join(import.meta.dirname, "incidentWorker.ts")

/** The state after the replay. */
export interface Aftermath {
  readonly activeLeases: number
  readonly leasesInFile: number
  readonly replaced: number
  readonly acquired: number
  readonly predecessorWouldHold: number
  /** The state of each event sink before the daemon stops. */
  readonly sinks: ReadonlyArray<Sink>
}

export interface Sink {
  readonly kind: string
  readonly sent: number
  readonly dropped: number
  readonly queued: number
}

/** Runs the replay and reports its steps. `env` is added to the daemon's environment. */
export const replayIncident = async (
  report: (line: string) => void,
  env: Readonly<Record<string, string>> = {}
): Promise<Aftermath> => {
  const home = temporaryHome()
  const daemon = launch({ home, env })
  // The worker's source is prepared once, not at each start.
  const workerEnv = { ...process.env, NODE_COMPILE_CACHE: path.join(home, "compiled") }
  try {
    await untilReady(daemon)
    report(`started the daemon, process ${daemon.pid}, in ${home}`)
    const client = new Client(daemon.socket)
    for (let n = 1; n <= secretCount; n += 1) {
      await resultOf(client, "add", { name: `secret_${n}`, value: `made-up value ${n}` })
    }
    report(`added ${secretCount} secrets`)
    for (let start = 1; start <= startCount; start += 1) {
      const child = spawn(process.execPath, [worker, daemon.socket], { stdio: "inherit", env: workerEnv })
      const [status] = await once(child, "exit")
      if (status !== 0) throw new Error(`worker ${start} ended with status ${status}`)
      if (start % 10 === 0 || start === startCount) report(`started the worker ${start} times`)
    }
    const { active_leases: activeLeases } = await resultOf(client, "status")
    const { sinks } = await resultOf(client, "daemon.status")
    client.close()
    await daemon.end("SIGTERM")
    report("stopped the daemon")
    const actions = auditOf(daemon.directory).map(({ action }) => action)
    return {
      activeLeases,
      leasesInFile: JSON.parse(fs.readFileSync(path.join(daemon.directory, "leases.json"), "utf8")).length,
      replaced: actions.filter((action) => action === "lease_replace").length,
      acquired: actions.filter((action) => action === "lease_acquire").length,
      predecessorWouldHold: secretCount * startCount,
      sinks
    }
  } finally {
    await daemon.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}
