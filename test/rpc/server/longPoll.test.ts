/**
 * A request that waits: what ends it, and that it keeps neither a connection nor a stop waiting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Socket from "effect/socket/Socket"
import * as TestClock from "effect/testing/TestClock"
import * as net from "node:net"
import * as path from "node:path"
import { longPoll } from "../../../src/rpc/server/longPoll.ts"
import { Connections, ConnectionState, serverOptions } from "../../../src/rpc/transport/Connections.ts"
import { connectionSocket } from "../../../src/rpc/transport/connectionSocket.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** Connections whose first request waits; `ended` is why each wait ended, or that it did. */
const waiting = Effect.fnUntraced(function* (count: number, first = "a request\n") {
  const at = path.join(yield* temporaryDirectory, "s")
  const connections = new Connections(1_000_000, "")
  const waits: Array<Deferred.Deferred<unknown>> = []
  const context = yield* Effect.context<never>()
  const serve = (connection: net.Socket) => {
    const done = Deferred.makeUnsafe<unknown>()
    waits.push(done)
    connection.on("error", () => undefined)
    const state = connections.add(connection)
    const handle = Effect.gen(function* () {
      const pull = yield* Socket.readerBytes(connectionSocket(connection))
      yield* pull
      const waited = yield* longPoll(() => () => undefined, "50 seconds").pipe(Effect.uninterruptible)
      yield* Deferred.succeed(done, waited)
    }).pipe(Effect.scoped, Effect.ignore, Effect.provideService(ConnectionState, state))
    Effect.runForkWith(context)(handle)
  }
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer(serverOptions, serve)
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const clients = Array.from({ length: count }, () => net.connect(at))
  for (const client of clients) {
    client.on("error", () => undefined)
    client.write(first)
  }
  // Each waits as soon as it counts as served.
  yield* connections.allServed
  yield* Effect.promise(async () => {
    while (waits.length < count) await new Promise((resolve) => setImmediate(resolve))
  })
  yield* connections.allServed
  const ended = Effect.forEach(waits, Deferred.await, { concurrency: "unbounded" })
  return { clients, connections, ended, stop: Effect.sync(() => connections.endWaits()) }
})

const all = (count: number, how: string) => Array.from({ length: count }, () => how)

describe("a request that waits", () => {
  it.live("ends for each of 200 clients that go away, or shut down their side", () =>
    Effect.gen(function* () {
      const { clients, ended } = yield* waiting(200)
      for (const [at, client] of clients.entries()) {
        if (at % 2 === 0) client.destroy()
        else client.end()
      }
      assert.deepStrictEqual(yield* ended, all(200, "client left"))
      for (const client of clients) client.destroy()
    })
  )

  it.live("ends for a client that sends more, which is answered next", () =>
    Effect.gen(function* () {
      const { clients, ended } = yield* waiting(1)
      clients[0]?.write("another\n")
      assert.deepStrictEqual(yield* ended, ["client left"])
      clients[0]?.destroy()
    })
  )

  it.live("ends at once if the daemon stops, and does not keep the stop waiting before", () =>
    Effect.gen(function* () {
      const { clients, connections, ended, stop } = yield* waiting(3)
      yield* connections.allServed
      yield* stop
      assert.deepStrictEqual(yield* ended, all(3, "stopping"))
      for (const client of clients) client.destroy()
    })
  )

  it.effect("ends at its timeout, or as soon as what it waits for is there", () =>
    Effect.gen(function* () {
      const waiters = new Set<() => void>()
      const onReady = (done: () => void) => {
        waiters.add(done)
        return () => void waiters.delete(done)
      }
      const long = yield* Effect.forkChild(longPoll(onReady, "50 seconds"))
      const short = yield* Effect.forkChild(longPoll(onReady, "10 seconds"))
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(short.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(short), "time is over")
      assert.strictEqual(waiters.size, 1)
      for (const done of waiters) done()
      assert.strictEqual(yield* Fiber.join(long), "ready")
      assert.strictEqual(waiters.size, 0)
    })
  )

  it.effect("ends at once where that has happened before, and once", () =>
    Effect.gen(function* () {
      let cancelled = 0
      const onReady = (done: () => void) => {
        done()
        done()
        return () => void (cancelled += 1)
      }
      assert.strictEqual(yield* longPoll(onReady, "50 seconds"), "ready")
      assert.strictEqual(cancelled, 1)
      const connections = new Connections(1_000_000, "")
      const state = connections.add(new net.Socket())
      connections.endWaits()
      const waited = longPoll(() => () => undefined, "50 seconds")
      assert.strictEqual(yield* Effect.provideService(waited, ConnectionState, state), "stopping")
    })
  )
})
