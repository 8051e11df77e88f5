/**
 * What may be at the socket in place of a healthy daemon. Each is made in a home directory, which
 * holds a store with two secrets; `end` removes what runs there.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { Client } from "../../harness/connection.ts"
import { launch, type Target, untilReady } from "../../harness/daemon.ts"
import { buildMacShim, macVariables } from "../../harness/macShim.ts"
import { temporaryHome } from "../../support/temporary.ts"

export interface BadDaemon {
  readonly end: () => void | Promise<void>
}

/** Undefined where it cannot be made. */
type Make = (home: string) => Promise<BadDaemon | undefined>

// Compiled before any command starts: meanwhile this process gives none its input.
const place = temporaryHome()
const library = buildMacShim(place)
process.once("exit", () => fs.rmSync(place, { recursive: true, force: true }))

const socketIn = (home: string): string => path.join(home, ".agent-secrets/agent-secrets.sock")

/** Starts a daemon with two secrets and a lease. */
const healthy = async (home: string, socket: string, env: Readonly<Record<string, string>> = {}): Promise<Target> => {
  const daemon = await untilReady(launch({ home, env }, ["--socket", socket]))
  const client = new Client(socket)
  for (const name of ["db", "api"]) await client.ask("add", { name, value: "a-made-up-value", rotate_via: "true" })
  await client.ask("lease", { secret_name: "db", client_id: "other" })
  client.close()
  return daemon
}

/** Leaves the store of a daemon that has stopped. */
const stopped = async (home: string): Promise<void> => {
  await (await healthy(home, socketIn(home))).end("SIGTERM")
}

/** Accepts connections at the socket, and treats each. */
const listener =
  (treat: (connection: net.Socket, home: string) => void): Make =>
  async (home) => {
    await stopped(home)
    return listenAt(socketIn(home), (connection) => treat(connection, home))
  }

const listenAt = async (socket: string, treat: (connection: net.Socket) => void): Promise<BadDaemon> => {
  const connections = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (connection) => {
    connections.add(connection)
    connection.on("error", () => undefined)
    connection.once("close", () => connections.delete(connection))
    treat(connection)
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    end: () => {
      server.close()
      for (const connection of connections) connection.destroy()
    }
  }
}

/** Passes so many requests to a healthy daemon, each reply so many milliseconds late; it answers no other. */
const relay =
  (answered: number, delay = 0): Make =>
  async (home) => {
    const real = path.join(home, "real.sock")
    const daemon = await healthy(home, real)
    let left = answered
    const front = await listenAt(socketIn(home), (connection) => {
      const behind = net.connect(real)
      behind.on("error", () => undefined)
      behind.on("data", (piece) => void setTimeout(() => connection.write(piece), delay))
      behind.once("close", () => connection.destroy())
      connection.once("close", () => behind.destroy())
      connection.on("data", (piece) => {
        left -= 1
        if (left >= 0) behind.write(piece)
      })
    })
    return {
      end: async () => {
        await front.end()
        await daemon.end("SIGKILL")
      }
    }
  }

const halfAReply = '{"jsonrpc":"2.0","id":1,"result":{"running":true,'

/** Each kind, by what a person would call it. */
export const badDaemons: Readonly<Record<string, Make>> = {
  absent: async (home) => {
    await stopped(home)
    return { end: () => undefined }
  },
  "absent, of a supervisor": async (home) => {
    await stopped(home)
    const file = path.join(home, ".agent-secrets/runs.json")
    const runs = JSON.parse(fs.readFileSync(file, "utf8"))
    fs.writeFileSync(file, JSON.stringify({ ...runs, started_by: "supervisor" }))
    return { end: () => undefined }
  },
  "killed, with its socket": async (home) => {
    await (await healthy(home, socketIn(home))).end("SIGKILL")
    return { end: () => undefined }
  },
  frozen: async (home) => {
    const daemon = await healthy(home, socketIn(home))
    daemon.signal("SIGSTOP")
    return { end: async () => void (await daemon.end("SIGKILL")) }
  },
  "without its socket": async (home) => {
    const daemon = await healthy(home, socketIn(home))
    daemon.signal("SIGSTOP")
    fs.rmSync(socketIn(home))
    return { end: async () => void (await daemon.end("SIGKILL")) }
  },
  "on a slow disk": async (home) => {
    if (library === undefined) return undefined
    await stopped(home)
    // What the start flushes takes as long: it never serves.
    const daemon = launch({ home, env: macVariables(library, 600_000) })
    return { end: async () => void (await daemon.end("SIGKILL")) }
  },
  silent: listener(() => undefined),
  "closing at once": listener((connection) => connection.destroy()),
  "closing after the request": listener((connection) => connection.once("data", () => connection.destroy())),
  "with half a reply": listener((connection) => connection.once("data", () => connection.write(halfAReply))),
  "with half a reply, closing": listener((connection) => connection.once("data", () => connection.end(halfAReply))),
  "with 10 MB and no line end": listener((connection) => connection.write("x".repeat(10 * 1024 * 1024))),
  "byte after byte": listener((connection) => {
    const timer = setInterval(() => connection.write("x"), 50)
    connection.once("close", () => clearInterval(timer))
  }),
  "silent after one reply": relay(1),
  "silent after two replies": relay(2),
  "a second late": relay(Number.POSITIVE_INFINITY, 1_000),
  "three seconds late": relay(Number.POSITIVE_INFINITY, 3_000)
}

/** Starts loops that keep every processor busy; returns what ends them. They end with this process too. */
export const busyLoops = (count: number): (() => void) => {
  const loops = Array.from({ length: count }, () =>
    spawn("/bin/sh", ["-c", `while kill -0 ${process.pid}; do :; done`], { stdio: "ignore" })
  )
  return () => {
    for (const loop of loops) loop.kill("SIGKILL")
  }
}
