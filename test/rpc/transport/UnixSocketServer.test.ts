/**
 * A connection that is turned away: its client reads why, whenever it sends.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as net from "node:net"
import * as path from "node:path"
import { serverOptions } from "../../../src/rpc/transport/Connections.ts"
import { makeRejector } from "../../../src/rpc/transport/UnixSocketServer.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** A server, and the connection that a client of it has on either side. */
const scene = Effect.gen(function* () {
  const at = path.join(yield* temporaryDirectory, "s")
  const taken: Array<(connection: net.Socket) => void> = []
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer(serverOptions, (connection) => {
        connection.on("error", () => undefined)
        taken.shift()?.(connection)
      })
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const connectBoth = Effect.promise(async () => {
    const server = new Promise<net.Socket>((resolve) => taken.push(resolve))
    const client = net.connect(at)
    let received = ""
    client.on("error", (fault) => (received += fault.message))
    const ended = new Promise<string>((resolve) => client.once("close", () => resolve(received)))
    return { server: await server, client, ended, read: () => client.on("data", (piece) => (received += piece)) }
  })
  return { connectBoth, turnAway: makeRejector("no room\n") }
})

describe("a rejected connection", () => {
  it.live("gets the reason, also if it sends only afterwards, and closes when the client does", () =>
    Effect.gen(function* () {
      const { connectBoth, turnAway } = yield* scene
      const { client, ended, read, server } = yield* connectBoth
      const turned = yield* Effect.forkChild(turnAway(server), { startImmediately: true })
      yield* Effect.promise(() => new Promise((resolve) => client.write("a request\n", resolve)))
      read()
      assert.strictEqual(yield* Effect.promise(() => ended), "no room\n")
      yield* Fiber.join(turned)
      assert.isTrue(server.destroyed)
    })
  )

  it.live("closes after a moment if the client does not, and at once if two linger already", () =>
    Effect.gen(function* () {
      const { connectBoth, turnAway } = yield* scene
      const all = [yield* connectBoth, yield* connectBoth, yield* connectBoth]
      const [first, second, third] = yield* Effect.forEach(all, ({ server }) =>
        Effect.forkChild(turnAway(server), { startImmediately: true })
      )
      if (first === undefined || second === undefined || third === undefined) throw new Error("there are three")
      yield* Fiber.join(third)
      const { server } = all[2] ?? all[0] ?? (yield* Effect.die("there are three"))
      if (!server.destroyed) yield* Effect.promise(() => new Promise((resolve) => server.once("close", resolve)))
      assert.isFalse(all[0]?.server.destroyed)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.isTrue(all.every(({ server }) => server.destroyed))
      for (const { client } of all) client.destroy()
    })
  )
})
