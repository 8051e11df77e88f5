/**
 * The liveness probe: any reply counts, silence does not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { livenessProbe } from "../../../src/rpc/client/livenessProbe.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

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
