import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Socket from "effect/socket/Socket"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import { serverOptions } from "../../../src/rpc/transport/Connections.ts"
import { connectionSocket } from "../../../src/rpc/transport/connectionSocket.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** A client, its connection at the server, and the reader and the writer of that. */
const connected = Effect.gen(function* () {
  const at = path.join(yield* temporaryDirectory, "s")
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => net.createServer(serverOptions)),
    (server) => Effect.sync(() => server.close())
  )
  yield* Effect.promise(() => once(server.listen(at), "listening"))
  const accepted = once(server, "connection")
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => net.connect(at)),
    (client) => Effect.sync(() => client.destroy())
  )
  const [connection]: [net.Socket] = yield* Effect.promise(() => accepted as Promise<[net.Socket]>)
  connection.on("error", () => undefined)
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
  const socket = connectionSocket(connection)
  const pull = Effect.map(yield* Socket.readerBytes(socket), ([bytes]) => Buffer.from(bytes).toString())
  return { client, connection, pull, writer: yield* socket.writer }
})

const codeOf = (effect: Effect.Effect<unknown, Socket.SocketError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => (reason._tag === "SocketCloseError" ? reason.code : reason._tag))

/** More than the buffers of a connection hold. */
const much = "x".repeat(4 * 1024 * 1024)

describe("the socket of a connection", () => {
  it.live("reads what a client sends, and replies after it has shut down its side", () =>
    Effect.gen(function* () {
      const { client, pull, writer } = yield* connected
      client.write("one")
      assert.strictEqual(yield* pull, "one")
      client.end("two")
      assert.strictEqual(yield* pull, "two")
      assert.strictEqual(yield* codeOf(pull), 1000)
      yield* writer.writeAll(["three", Buffer.from(" four")])
      const [reply] = yield* Effect.promise(() => once(client, "data"))
      assert.include("three four", String(reply))
    })
  )

  it.live("loses nothing when a read is interrupted", () =>
    Effect.gen(function* () {
      const { client, connection, pull } = yield* connected
      const first = yield* Effect.forkChild(pull, { startImmediately: true })
      yield* Fiber.interrupt(first)
      client.write("one")
      yield* Effect.promise(() => once(connection, "readable"))
      assert.strictEqual(yield* pull, "one")
    })
  )

  it.live("ends without input that was not read when the connection breaks", () =>
    Effect.gen(function* () {
      const { client, connection, pull, writer } = yield* connected
      client.write("one")
      yield* Effect.promise(() => once(connection, "readable"))
      connection.destroy(new Error("broken"))
      yield* Effect.promise(() => new Promise((resolve) => connection.once("close", resolve)))
      assert.strictEqual(yield* codeOf(pull), 1006)
      assert.strictEqual(yield* codeOf(writer.write("reply")), 1006)
    })
  )

  it.live("ends a read that waits when the connection is destroyed", () =>
    Effect.gen(function* () {
      const { connection, pull } = yield* connected
      const code = yield* Effect.forkChild(codeOf(pull), { startImmediately: true })
      connection.destroy()
      assert.strictEqual(yield* Fiber.join(code), 1000)
    })
  )

  it.live("waits with a write until the client reads", () =>
    Effect.gen(function* () {
      const { client, writer } = yield* connected
      client.pause()
      const write = yield* Effect.forkChild(writer.write(much), { startImmediately: true })
      let read = 0
      client.on("data", (bytes) => (read += bytes.length))
      client.resume()
      yield* Fiber.join(write)
      assert.isAbove(read, much.length / 2)
    })
  )

  it.live("ends a write whose fiber yields while the client leaves", () =>
    Effect.gen(function* () {
      // Effect lets others run after 2048 operations: one of these fibers is between the write and the wait then.
      for (let operations = 1010; operations <= 1030; operations += 1) {
        const { client, writer } = yield* connected
        client.destroy()
        yield* Effect.promise(() => new Promise((resolve) => client.once("close", resolve)))
        const write = Effect.gen(function* () {
          yield* Effect.yieldNow
          for (let done = 0; done < operations; done += 1) yield* Effect.suspend(() => Effect.void)
          return yield* Effect.exit(writer.write("reply"))
        })
        const fiber = yield* Effect.forkChild(write)
        assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)), `after ${operations}`)
      }
    })
  )

  it.live("fails a write that waits when the connection is cut off", () =>
    Effect.gen(function* () {
      const { client, connection, writer } = yield* connected
      client.pause()
      const code = yield* Effect.forkChild(codeOf(writer.write(much)), { startImmediately: true })
      yield* writer.write(new Socket.CloseEvent(1008))
      assert.strictEqual(yield* Fiber.join(code), 1006)
      assert.isTrue(connection.destroyed)
    })
  )

  it.live("shares one error between connections that end", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* connected, yield* connected]
      for (const { client } of [first, second]) client.end()
      assert.strictEqual(yield* Effect.flip(first.pull), yield* Effect.flip(second.pull))
    })
  )
})
