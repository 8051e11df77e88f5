/** How long a statement may wait, in virtual time, with a server that answers the first statement of each connection alone. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import { makeTeamWire } from "../../../src/daemon/team/TeamWire.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

const message = (type: string, ...parts: ReadonlyArray<string>): Buffer => {
  const body = Buffer.from(parts.join(""), "latin1")
  const head = Buffer.alloc(5)
  head.write(type, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const ready = message("Z", "I")
const authenticated = Buffer.concat([message("R", "\0\0\0\0"), ready])
const column = ["\0\x01", "answer\0", "\0\0\0\0", "\0\0", "\0\0\0\x19", "\xff\xff", "\xff\xff\xff\xff", "\0\x01"]
const row = message("D", "\0\x01", "\0\0\0\x02", "{}")
const answer = Buffer.concat([
  message("1"),
  message("2"),
  message("T", ...column),
  row,
  message("C", "SELECT 1\0"),
  ready
])

const startServer = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const seen = { connections: 0, statements: 0, ended: 0 }
  const server = net.createServer((socket) => {
    let asked = -1
    seen.connections += 1
    socket.on("error", () => undefined)
    socket.on("close", () => void (seen.ended += 1))
    socket.on("data", (bytes) => {
      if (bytes[0] === 0x58) return
      asked += 1
      if (asked > 0) seen.statements += 1
      if (asked < 2) socket.write(asked === 0 ? authenticated : answer)
    })
  })
  server.listen(path.join(directory, ".s.PGSQL.5432"))
  yield* Effect.promise(() => once(server, "listening"))
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  return { directory, seen }
})

const untilLive = (holds: () => boolean) => TestClock.withLive(until(holds))

describe("a statement", () => {
  it.effect("has all of its time, and its connection is dropped when that is over", () =>
    Effect.gen(function* () {
      const { directory, seen } = yield* startServer
      const options = { host: directory, port: 5432, database: "team", username: "as_m1" }
      const wire = yield* makeTeamWire(options, Duration.seconds(2))
      assert.deepStrictEqual(yield* wire.call("put_1", {}), {})
      yield* TestClock.adjust(1500)
      const second = yield* Effect.forkChild(Effect.flip(wire.call("put_1", {})), { startImmediately: true })
      yield* untilLive(() => seen.statements === 2)
      // The time of the first is over.
      yield* TestClock.adjust(1999)
      assert.isUndefined(second.pollUnsafe())
      assert.strictEqual(seen.ended, 0)
      yield* TestClock.adjust(1)
      const { code, reason } = yield* Fiber.join(second)
      assert.deepStrictEqual([code, reason], [undefined, "no answer within 2 s"])
      yield* untilLive(() => seen.ended === 1)
      assert.deepStrictEqual(yield* wire.call("put_1", {}), {})
      assert.strictEqual(seen.connections, 2)
    })
  )

  it.effect("opens one connection with another that is asked at the same time", () =>
    Effect.gen(function* () {
      const { directory, seen } = yield* startServer
      const options = { host: directory, port: 5432, database: "team", username: "as_m1" }
      const wire = yield* makeTeamWire(options, Duration.seconds(2))
      const both = yield* Effect.forkChild(
        Effect.all([wire.call("read_1", {}), Effect.flip(wire.call("read_1", {}))], { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* untilLive(() => seen.statements === 2)
      yield* untilLive(() => seen.connections - seen.ended === 1)
      yield* TestClock.adjust(2000)
      const [answered, { reason }] = yield* Fiber.join(both)
      assert.deepStrictEqual([answered, reason], [{}, "no answer within 2 s"])
      yield* untilLive(() => seen.ended === seen.connections)
    })
  )
})
