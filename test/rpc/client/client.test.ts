/**
 * The client waits for a daemon that is away or restarts, and repeats nothing that must
 * run once.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { callLong, livenessProbe, request, sharedTimeout } from "../../../src/rpc/client/client.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

/** What becomes of a connection that has brought a request: a reply, or the end. */
type Fate = "cut" | object

const done = { result: { success: true } }
const noSecret = { error: { code: -32000, message: "secret not found" } }
const noLease = { error: { code: -32001, message: "lease not found" } }

/** A fake daemon: one behavior per connection, the last one for all others. Returns the methods it received. */
const listen = (socketPath: string, fates: ReadonlyArray<Fate>) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: net.Server; readonly received: Array<string> }>((resume) => {
      const received: Array<string> = []
      const server = net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.once("data", (line) => {
          received.push(JSON.parse(String(line)).method)
          const fate = fates[Math.min(received.length, fates.length) - 1] ?? "cut"
          if (fate === "cut") socket.destroy()
          else socket.end(`${JSON.stringify({ jsonrpc: "2.0", id: 1, ...fate })}\n`)
        })
      })
      server.listen(socketPath, () => resume(Effect.succeed({ server, received })))
    }),
    ({ server }) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const place = Effect.map(temporaryDirectory, (directory) => path.join(directory, "s"))

/** Seconds; no request that is answered comes near it. */
const patience = 60

const daemonAt = (socketPath: string, seconds = patience) => ({ socketPath, timeout: Duration.seconds(seconds) })

describe.concurrent("the client", () => {
  it.live("waits for a daemon that starts 300 ms later", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const asking = yield* Effect.forkScoped(Effect.timed(request(daemonAt(socketPath), "secrets.lease", {})))
      yield* Effect.sleep("300 millis")
      const { received } = yield* listen(socketPath, [done])
      const [took, result] = yield* Fiber.join(asking)
      assert.deepStrictEqual([result, received], [{ success: true }, ["secrets.lease"]])
      assert.isBelow(Duration.toSeconds(took), patience / 2)
    })
  )

  it.live("waits on a socket without a listener, and gives up at its timeout", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      fs.writeFileSync(socketPath, "")
      const [took, failure] = yield* Effect.timed(Effect.flip(request(daemonAt(socketPath, 0.2), "secrets.lease", {})))
      assert.deepInclude(failure, { _tag: "DaemonUnavailable", socketPath, code: "ECONNREFUSED" })
      assert.isAtLeast(Duration.toMillis(took), 199)
      assert.isBelow(Duration.toSeconds(took), patience / 2)
    })
  )

  for (const method of ["secrets.lease", "secrets.update", "secrets.revokeMatching", "secrets.audit"] as const) {
    it.live(`sends ${method} again when the connection is cut before the answer`, () =>
      Effect.gen(function* () {
        const socketPath = yield* place
        const { received } = yield* listen(socketPath, ["cut", "cut", done])
        assert.deepStrictEqual(yield* request(daemonAt(socketPath), method, {}), { success: true })
        assert.deepStrictEqual(received, [method, method, method])
      })
    )
  }

  for (const method of ["secrets.add", "secrets.rotate", "daemon.restart"] as const) {
    it.live(`sends ${method} once, and reports that it may have been carried out`, () =>
      Effect.gen(function* () {
        const socketPath = yield* place
        const { received } = yield* listen(socketPath, ["cut", done])
        const failure = yield* Effect.flip(request(daemonAt(socketPath), method, {}))
        assert.deepInclude(failure, {
          _tag: "InvalidReply",
          reason: "the connection ended before it; the request may have been carried out"
        })
        assert.deepStrictEqual(received, [method])
      })
    )
  }

  for (const [method, gone] of [
    ["secrets.revoke", noLease],
    ["secrets.delete", noSecret]
  ] as const) {
    it.live(`reports ${method} as done if the connection was lost and its target is gone`, () =>
      Effect.gen(function* () {
        const socketPath = yield* place
        yield* listen(socketPath, ["cut", gone])
        assert.deepStrictEqual(yield* request(daemonAt(socketPath), method, {}), { success: true })
      })
    )

    it.live(`reports a refusal if the connection of ${method} was not lost`, () =>
      Effect.gen(function* () {
        const socketPath = yield* place
        const { received } = yield* listen(socketPath, [gone])
        const failure = yield* Effect.flip(request(daemonAt(socketPath), method, {}))
        assert.deepInclude(failure, { _tag: "RequestRejected", code: gone.error.code })
        assert.lengthOf(received, 1)
      })
    )
  }

  it.live("does not repeat a refused request", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const { received } = yield* listen(socketPath, [noSecret, done])
      const failure = yield* Effect.flip(request(daemonAt(socketPath), "secrets.lease", {}))
      assert.deepInclude(failure, { _tag: "RequestRejected", message: "secret not found" })
      assert.lengthOf(received, 1)
    })
  )

  it.live("does not retry without permission", () =>
    Effect.gen(function* () {
      // Root may use any socket; a path through a file is as lasting a reason for everybody.
      const socketPath = yield* place
      const isRoot = process.getuid?.() === 0
      const target = isRoot ? path.join(socketPath, "s") : socketPath
      if (isRoot) fs.writeFileSync(socketPath, "")
      else {
        yield* listen(socketPath, [done])
        fs.chmodSync(socketPath, 0)
      }
      const [took, failure] = yield* Effect.timed(Effect.flip(request(daemonAt(target), "secrets.lease", {})))
      assert.deepInclude(failure, { _tag: "DaemonUnavailable", code: isRoot ? "ENOTDIR" : "EACCES" })
      assert.isBelow(Duration.toSeconds(took), patience / 2)
    })
  )
})

/** A server that sends this text to every client. */
const thatSays = Effect.fnUntraced(function* (reply: string) {
  const at = path.join(yield* temporaryDirectory, "s")
  const connections: Array<net.Socket> = []
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((connection) => {
        connections.push(connection)
        connection.write(reply)
      })
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        for (const connection of connections) connection.destroy()
        server.close()
      })
  )
  return at
})

const ask = (at: string) => Effect.exit(livenessProbe(at, Duration.millis(100)))

describe("the liveness probe", () => {
  for (const reply of [{ result: { running: true } }, { error: { code: -32000, message: "too many connections" } }]) {
    it.live(`succeeds with ${JSON.stringify(reply)}`, () =>
      Effect.gen(function* () {
        const at = yield* thatSays(`${JSON.stringify({ jsonrpc: "2.0", id: 1, ...reply })}\n`)
        assert.strictEqual((yield* ask(at))._tag, "Success")
      })
    )
  }

  it.live("fails without a reply, and on a socket without a listener", () =>
    Effect.gen(function* () {
      const at = yield* thatSays("")
      assert.strictEqual((yield* ask(at))._tag, "Failure")
      const dead = path.join(yield* temporaryDirectory, "dead")
      const server = net.createServer()
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(dead, resolve)))
      fs.renameSync(dead, `${dead}.kept`)
      server.close()
      assert.strictEqual((yield* ask(`${dead}.kept`))._tag, "Failure")
    })
  )

  it.live("succeeds if the socket file is gone, which a restart would not restore", () =>
    Effect.gen(function* () {
      const at = path.join(yield* temporaryDirectory, "s")
      assert.strictEqual((yield* ask(at))._tag, "Success")
    })
  )
})

describe("the time of several requests", () => {
  it.effect("is one timeout, then a little for each, and whole again long after", () =>
    Effect.gen(function* () {
      const rest = yield* sharedTimeout(daemonAt("/s", 3))
      const left = Effect.map(rest, ({ timeout }) => Duration.toMillis(timeout))
      const seen: Array<number> = []
      for (const passed of [0, 2000, 999, 3001, 1]) {
        yield* TestClock.adjust(Duration.millis(passed))
        seen.push(yield* left)
      }
      assert.deepStrictEqual(seen, [3000, 1000, 300, 300, 3000])
    })
  )
})

/** A server that keeps its replies; `reply` sends those to a method. */
const thatWaits = Effect.gen(function* () {
  const at = path.join(yield* temporaryDirectory, "s")
  const waiting = new Map<string, net.Socket>()
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((connection) =>
        connection.once("data", (line) => void waiting.set(JSON.parse(String(line)).method, connection))
      )
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        for (const connection of waiting.values()) connection.destroy()
        server.close()
      })
  )
  const reply = (method: string) => waiting.get(method)?.end(`${JSON.stringify({ jsonrpc: "2.0", id: 1, ...done })}\n`)
  return { at, waiting, reply }
})

describe("a long request", () => {
  const longest = Duration.minutes(10)
  const rotating = (at: string) => callLong(daemonAt(at, 3), longest, "secrets.rotate", {}, { success: true })

  it.effect("may take longer than others, once the daemon has answered beside it", () =>
    Effect.gen(function* () {
      const { at, reply, waiting } = yield* thatWaits
      const asking = yield* Effect.forkChild(rotating(at))
      yield* TestClock.withLive(until(() => waiting.size === 2))
      yield* Effect.sync(() => reply("secrets.status"))
      yield* TestClock.withLive(until(() => waiting.get("secrets.status")?.destroyed === true))
      yield* TestClock.adjust("9 minutes")
      yield* Effect.sync(() => reply("secrets.rotate"))
      assert.deepStrictEqual(yield* Fiber.join(asking), { success: true })
    })
  )

  it.effect("fails in the usual time with a daemon that answers nothing", () =>
    Effect.gen(function* () {
      const { at, waiting } = yield* thatWaits
      const asking = yield* Effect.forkChild(Effect.flip(rotating(at)))
      yield* TestClock.withLive(until(() => waiting.size === 2))
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Fiber.join(asking), { _tag: "RequestTimedOut", seconds: 3 })
    })
  )
})
