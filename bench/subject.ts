/**
 * The subjects of benchmarks: a daemon, or the Go program, on a new directory with the secrets
 * of the load. Also reads the memory and processor time of a process from /proc.
 */
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { nodeOptions as serviceOptions } from "../src/service/ServiceOptions.ts"
import { Client } from "../test/harness/connection.ts"
import { launch, type Target, untilReady } from "../test/harness/daemon.ts"
import { pause } from "../test/harness/program.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { secretNames } from "./load.ts"

const addSecrets = async (socket: string): Promise<void> => {
  const client = new Client(socket)
  for (const name of secretNames) {
    const answer = await client.ask("add", { name, value: "made up, and as long as a token is: 0123456789abcdef" })
    if (answer?.result === undefined) throw new Error(JSON.stringify(answer))
  }
  client.close()
}

/** The V8 options of the service; DAEMON_NODE_OPTIONS replaces them. */
export const nodeOptions = process.env["DAEMON_NODE_OPTIONS"]?.split(" ") ?? serviceOptions

export interface Subject {
  readonly directory: string
  readonly socket: string
  readonly pid: () => number
  /** Stops the daemon, starts it on the same directory, and returns the milliseconds until it is ready. */
  readonly restart: () => Promise<number>
}

/** Provides a daemon that has the secrets, and removes its directory afterwards. */
export const withDaemon = async <A>(use: (daemon: Subject) => Promise<A>, settings?: object): Promise<A> => {
  const home = temporaryHome()
  if (settings !== undefined) {
    fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
    fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify(settings))
  }
  let daemon: Target = await untilReady(launch({ home, nodeOptions }))
  try {
    await addSecrets(daemon.socket)
    return await use({
      directory: daemon.directory,
      socket: daemon.socket,
      pid: () => daemon.pid,
      restart: async () => {
        await daemon.end("SIGTERM")
        const from = performance.now()
        daemon = await untilReady(launch({ home, nodeOptions }))
        return performance.now() - from
      }
    })
  } finally {
    await daemon.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

export const predecessor = "predecessor, this machine"

/** The contents of leases.json before the start. */
const heldBefore = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    id: randomUUID(),
    secret_name: secretNames[at % secretNames.length],
    client_id: `before-${at}`,
    created_at: new Date().toISOString(),
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    revoked: false
  }))

/** Provides the socket of the Go program if PREDECESSOR names it. It starts with `held` leases. */
export const withPredecessor = async <A>(use: (socket: string | undefined) => Promise<A>, held = 0): Promise<A> => {
  const program = process.env["PREDECESSOR"]
  if (program === undefined) return use(undefined)
  const home = temporaryHome()
  const env = { HOME: home, PATH: "/usr/bin:/bin" }
  await once(spawn(program, ["init"], { env, stdio: "ignore" }), "close")
  if (held > 0) fs.writeFileSync(path.join(home, ".agent-secrets", "leases.json"), JSON.stringify(heldBefore(held)))
  const child = spawn(program, ["serve"], { env, stdio: "ignore" })
  const socket = path.join(home, ".agent-secrets", "agent-secrets.sock")
  try {
    for (let waited = 0; !fs.existsSync(socket) && waited < 10_000; waited += 10) await pause(10)
    await addSecrets(socket)
    return await use(socket)
  } finally {
    child.kill("SIGKILL")
    await once(child, "close")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Returns the resident memory in bytes. Linux only. */
export const residentBytes = (pid: number): number => {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) * 1024
}

/** Returns the processor time used so far, in milliseconds; a kernel tick is a hundredth of a second. */
export const processorMillis = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  const [, , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(")") + 1).split(" ")
  return (Number(user) + Number(system)) * 10
}
