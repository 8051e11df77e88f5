/**
 * The deadlines of a client, to the millisecond: thirty seconds for a line, five for a
 * chunk of a reply, none between requests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { DaemonInfo } from "../../../src/daemon/lifecycle/DaemonInfo.ts"
import { Restart } from "../../../src/daemon/lifecycle/Restart.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import { RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { serveConnections } from "../../../src/rpc/server/serveConnections.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const services = Layer.mergeAll(testLayerNoTelemetry, Layer.mock(RotationHook, {}), Layer.mock(Restart, {}))

/** A client of one connection; `take` is run for each write of the daemon, and the write is done with it. */
const clientOf = (take: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const sent = yield* Queue.unbounded<Uint8Array>()
    const closed = yield* Deferred.make<number>()
    const written: Array<Buffer> = []
    const write = (chunk: Uint8Array | string | Socket.CloseEvent) => {
      if (Socket.isCloseEvent(chunk)) return Effect.asVoid(Deferred.succeed(closed, chunk.code))
      written.push(Buffer.from(chunk))
      return take
    }
    const socket = Socket.make({
      reader: Effect.succeed({
        pull: Effect.map(Queue.take(sent), (bytes) => [bytes] as const),
        upgrade: () => Effect.die("no TLS here")
      }),
      writer: Effect.succeed({ write, writeAll: (chunks) => Effect.forEach(chunks, write, { discard: true }) })
    })
    let ended = false
    const server = SocketServer.SocketServer.of({
      address: NetAddress.unixPathAddress("/nowhere"),
      run: (handler) =>
        Effect.andThen(
          Effect.ensuring(
            Effect.ignore(handler(socket)),
            Effect.sync(() => void (ended = true))
          ),
          Effect.never
        )
    })
    const info = DaemonInfo.of({
      pid: 1,
      startedAt: fromMillis(0),
      startedBy: "unknown",
      sockets: [],
      heartbeat: Effect.succeed(undefined),
      uncleanStarts: Effect.succeed(undefined)
    })
    yield* serveConnections().pipe(
      Effect.provideService(DaemonInfo, info),
      Effect.provideService(SocketServer.SocketServer, server),
      Effect.forkScoped
    )
    const offer = (text: string) => Queue.offer(sent, Buffer.from(text))
    const send = (text: string) => Effect.andThen(offer(text), TestClock.adjust(0))
    const text = () => Buffer.concat(written).toString()
    return { offer, send, written, text, ended: () => ended, closed }
  })

const get = '{"method":"secrets.get","id":1}\n'
const unended = `{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error: the line did not end within 30 s","data":{"tag":"ParseError"}},"id":null}\n`

describe("a client", () => {
  it.effect("has thirty seconds to end a line, even if it sends byte by byte", () =>
    Effect.gen(function* () {
      const { send, text, ended } = yield* clientOf()
      for (let second = 0; second < 29; second += 1) {
        yield* send("x")
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([text(), ended()], ["", false])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([text(), ended()], [unended, true])
    }).pipe(Effect.provide(services))
  )

  it.effect("has thirty seconds for each line", () =>
    Effect.gen(function* () {
      const { send, written, ended } = yield* clientOf()
      for (let times = 0; times < 3; times += 1) {
        yield* send(get.slice(0, 5))
        yield* TestClock.adjust("29 seconds")
        yield* send(get.slice(5))
      }
      assert.lengthOf(written, 3)
      yield* TestClock.adjust("1 hour")
      yield* send("{")
      yield* TestClock.adjust("29999 millis")
      assert.isFalse(ended())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(ended())
    }).pipe(Effect.provide(services))
  )

  it.effect("has thirty seconds from the moment a line became too long", () =>
    Effect.gen(function* () {
      const { send, text, ended } = yield* clientOf()
      yield* send("x".repeat(9 * 1024 * 1024))
      assert.include(text(), "longer than 8388608 bytes")
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(text().endsWith(unended))
      assert.isTrue(ended())
    }).pipe(Effect.provide(services))
  )

  it.effect("may wait for any time between lines", () =>
    Effect.gen(function* () {
      const { send, written, ended } = yield* clientOf()
      yield* send(get)
      yield* TestClock.adjust("30 days")
      yield* send(get)
      assert.deepStrictEqual([written.length, ended()], [2, false])
    }).pipe(Effect.provide(services))
  )

  it.effect("is closed when it has read nothing for five seconds", () =>
    Effect.gen(function* () {
      const { send, written, ended, closed } = yield* clientOf(Effect.never)
      yield* send(get + get)
      yield* TestClock.adjust("4999 millis")
      assert.isFalse(ended())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([written.length, ended(), yield* Deferred.await(closed)], [1, true, 1008])
    }).pipe(Effect.provide(services))
  )

  it.effect("may read a large reply slowly, chunk by chunk", () =>
    Effect.gen(function* () {
      yield* addSecret("large", "é".repeat(300_000))
      const { send, written, text, ended } = yield* clientOf(Effect.sleep("4 seconds"))
      yield* send('{"method":"secrets.lease","params":{"secret_name":"large","client_id":"c"},"id":1}\n')
      const waitASecond = Effect.andThen(Effect.yieldNow, TestClock.adjust("1 second"))
      yield* Effect.repeat(waitASecond, { until: () => text().endsWith("\n") || ended() })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(written.length, Math.ceil(written.reduce((sum, { length }) => sum + length, 0) / 65_536))
      assert.isFalse(ended())
      assert.strictEqual(JSON.parse(text()).result.value, "é".repeat(300_000))
    }).pipe(Effect.provide(services))
  )

  it.effect("lets others run after every few of its pipelined requests", () =>
    Effect.gen(function* () {
      const { offer, written } = yield* clientOf()
      yield* offer(get.repeat(100))
      let [most, before, turns] = [0, 0, 0]
      for (; written.length < 100; turns += 1) {
        yield* Effect.yieldNow
        most = Math.max(most, written.length - before)
        before = written.length
      }
      assert.isAtMost(most, 16)
      assert.isAbove(turns, (100 / 16) * 8)
    }).pipe(Effect.provide(services))
  )
})

describe("a value that is ready when the store is locked", () => {
  it.effect("is not sent, because its encoding had to wait", () =>
    Effect.gen(function* () {
      const { send, text } = yield* clientOf()
      yield* addSecret("big", "made-up-".repeat(100_000))
      yield* send('{"method":"secrets.lease","params":{"secret_name":"big","client_id":"c"},"id":1}\n')
      assert.strictEqual(text(), "")
      yield* lockStore()
      yield* TestClock.adjust("1 second")
      assert.match(text(), /^{"jsonrpc":"2.0","error":{"code":-32603,"message":"the store is locked.*"StoreLocked"/)
      assert.notInclude(text(), "made-up")
      const [last] = yield* AuditLog.use((audit) => audit.tail(1))
      assert.deepInclude(last, { action: "request_refused", details: "secrets.lease: the store is locked" })
    }).pipe(Effect.provide(services))
  )
})

describe("the value of a lease whose daemon slept after it committed it", () => {
  const line = (method: string, name: string) =>
    `{"method":"secrets.${method}","params":{"secret_name":"${name}","client_id":"c"},"id":1}\n`
  const repliesWhere = (isLate: boolean, ...lines: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      yield* addSecret("db", "made-up")
      const leases = yield* LeaseRepo
      const { send, text } = yield* Effect.provideService(clientOf(), LeaseRepo, { ...leases, isLate: () => isLate })
      yield* Effect.forEach(lines, send)
      const replies = text().trimEnd().split("\n")
      return replies.map((reply) => JSON.parse(reply))
    }).pipe(Effect.provide(services))

  it.effect("is withheld, and other replies are not", () =>
    Effect.gen(function* () {
      const [late, missing, names] = yield* repliesWhere(
        true,
        line("lease", "db"),
        line("lease", "none"),
        line("list", "")
      )
      assert.deepStrictEqual(late.error, {
        code: -32603,
        message: "nothing was issued or changed, because the team's database is away: the answer came too late",
        data: { tag: "TeamAway" }
      })
      assert.strictEqual(missing.error.data.tag, "SecretNotFound")
      assert.lengthOf(names.result.secrets, 1)
    })
  )

  it.effect("is sent if it did not sleep", () =>
    Effect.gen(function* () {
      const [inTime] = yield* repliesWhere(false, line("lease", "db"))
      assert.strictEqual(inTime.result.value, "made-up")
    })
  )
})
