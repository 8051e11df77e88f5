/**
 * A few abusive clients of each kind: they get an error, are closed or wait, and no other
 * client suffers. `npm run torture -- abuse` runs many more.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Connection } from "../harness/connection.ts"
import { auditOf, connect, modeOf, rpc, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until, untilTrue } from "../support/waiting.ts"

const start = (more: { readonly args?: ReadonlyArray<string>; readonly through?: string } = {}) =>
  Effect.flatMap(temporaryDirectory, (home) => startDaemon({ home, ...more }))

const status = '{"method":"secrets.status","id":1}'
const running = (connection: Connection) => Effect.promise(() => connection.ask(status))
const line = (connection: Connection) => Effect.promise(() => connection.line())
const many = (socket: string, count: number) => Effect.forEach(Array.from({ length: count }), () => connect(socket))

describe.concurrent("invalid bytes", () => {
  it.live("get an error, also where they are not UTF-8, and never match the name of a secret", () =>
    Effect.gen(function* () {
      const { socket } = yield* start()
      yield* rpc(socket, "add", { name: "h\ufffd", value: "x" })
      const connection = yield* connect(socket)
      const named = (byte: number) =>
        Buffer.concat([
          Buffer.from('{"method":"secrets.lease","params":{"client_id":"c","secret_name":"h'),
          Uint8Array.of(byte),
          Buffer.from('"},"id":1}\n')
        ])
      for (const byte of [0xff, 0xfe]) {
        connection.send(named(byte))
        assert.strictEqual(
          yield* line(connection),
          '{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error: the line is not UTF-8","data":{"tag":"ParseError"}},"id":null}'
        )
      }
      assert.include(yield* running(connection), '"running":true')
    })
  )
})

describe.concurrent("many requests in one write", () => {
  it.live("are answered in order, and other clients are answered in between", () =>
    Effect.gen(function* () {
      const { signal, socket } = yield* start()
      const [flood, other] = [yield* connect(socket), yield* connect(socket)]
      for (const connection of [flood, other]) assert.include(yield* running(connection), '"running":true')
      // Together less than the 64 KiB that are read at once, and all there before the daemon reads.
      const count = 1_200
      signal("SIGSTOP")
      flood.send(
        Array.from({ length: count }, (_, id) => `{"method":"secrets.status","id":${id}}\nnot JSON\n`).join("")
      )
      other.send('{"method":"daemon.metrics","id":1}\n'.repeat(5))
      signal("SIGCONT")
      for (let asked = 0; asked < 5; asked += 1) {
        const { result } = JSON.parse((yield* line(other)) ?? "null")
        const answered = /^agent_secrets_request_refusals_total\{error_type="ParseError"\} (\d+)$/m.exec(result.text)
        assert.isBelow(Number(answered?.[1] ?? 0), count)
      }
      for (let id = 0; id < count; id += 1) {
        assert.include(yield* line(flood), `"id":${id}}`)
        assert.include(yield* line(flood), '"ParseError"')
      }
    })
  )
})

describe.concurrent("the socket file", () => {
  it.live("is recreated when it was removed, never replaces another file, and open connections continue", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const directory = path.join(home, "sockets")
      const socket = path.join(directory, "s")
      const daemon = yield* startDaemon({ home, args: ["--socket", socket] })
      const old = yield* connect(socket)
      assert.include(yield* running(old), '"running":true')
      const mended = () => auditOf(daemon.directory).filter(({ action }) => action === "file_mended")

      fs.rmSync(socket)
      yield* until(() => mended().length > 0)
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
      assert.strictEqual(modeOf(socket), "600")
      assert.include(mended()[0]?.details, `the socket ${socket} was missing`)

      fs.rmSync(socket)
      fs.writeFileSync(socket, "somebody else's")
      yield* until(() => daemon.stderr().includes("is not this daemon's socket"))
      assert.strictEqual(fs.readFileSync(socket, "utf8"), "somebody else's")
      fs.renameSync(directory, `${directory}-moved`)
      fs.mkdirSync(directory, { mode: 0o700 })
      yield* until(() => mended().length > 1)
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
      assert.include(yield* running(old), '"running":true')

      assert.strictEqual((yield* daemon.stop()).status, 0)
      // The lock file beside a socket is never removed; the first one moved with its directory.
      assert.deepStrictEqual(fs.readdirSync(directory), [])
      assert.deepStrictEqual(fs.readdirSync(`${directory}-moved`).toSorted(), ["s", "s.lock"])
      assert.strictEqual(daemon.stderr().split("is not this daemon's socket").length, 2)
      assert.lengthOf(mended(), 2)
    })
  )

  it.live("is not removed at the stop if another daemon has replaced it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const socket = path.join(home, "shared.sock")
      const first = yield* startDaemon({ home, args: ["--socket", socket] })
      fs.rmSync(socket)
      fs.rmSync(`${socket}.lock`)
      const other = yield* temporaryDirectory
      // Or it restores its own socket first.
      first.signal("SIGSTOP")
      const second = yield* startDaemon({ home: other, args: ["--socket", socket] })
      first.signal("SIGCONT")
      assert.strictEqual((yield* first.stop()).status, 0)
      yield* rpc(socket, "add", { name: "db", value: "x" })
      assert.strictEqual((yield* rpc(socket, "status")).result.secrets_count, 1)
      assert.strictEqual((yield* second.stop()).status, 0)
      assert.deepStrictEqual(fs.readdirSync(home).toSorted(), [".agent-secrets", "shared.sock.lock"])
    })
  )
})

describe.concurrent("a daemon with few file descriptors", () => {
  it.live("refuses excess connections with a reason, keeps working, and accepts new ones when others close", () =>
    Effect.gen(function* () {
      const { socket } = yield* start({ through: 'ulimit -n 64; exec "$@"' })
      const taken: Array<Connection> = []
      let refusal: string | undefined
      while (refusal === undefined) {
        const connection = yield* connect(socket)
        const answer = yield* running(connection)
        if (answer?.includes('"running":true') === true) taken.push(connection)
        else refusal = answer ?? "no answer at all"
      }
      const { error } = JSON.parse(refusal)
      assert.strictEqual(error.code, -32603)
      assert.include(error.message, `has ${taken.length} connections open and takes no more`)
      const [first] = taken
      if (first === undefined) throw new Error("not one connection was taken")

      const add = '{"method":"secrets.add","params":{"name":"db","value":"x","rotate_via":"echo ok"},"id":1}'
      assert.include(yield* Effect.promise(() => first.ask(add)), '"success":true')
      const rotate = '{"method":"secrets.rotate","params":{"secret_name":"db"},"id":1}'
      assert.include(yield* Effect.promise(() => first.ask(rotate)), '"success":true')
      for (const connection of taken.slice(1)) connection.socket.destroy()
      yield* untilTrue(Effect.map(rpc(socket, "status"), (reply) => reply?.result?.running === true))
    })
  )
})

describe("unfinished lines", () => {
  it.live("are closed, the longest first, when together they use too much memory; short ones stay open", () =>
    Effect.gen(function* () {
      const { socket, pid } = yield* start()
      const small = yield* connect(socket)
      small.send(status.slice(0, 10))
      const large = yield* many(socket, 12)
      for (const connection of large) connection.send(Buffer.alloc(7 * 1024 * 1024, "x"))
      const gone = yield* Effect.raceAll(large.map((connection) => Effect.as(line(connection), connection)))
      yield* until(() => gone.socket.destroyed)
      small.send(`${status.slice(10)}\n`)
      assert.include(yield* line(small), '"running":true')
      if (fs.existsSync(`/proc/${pid}/status`)) {
        const kibibytes = Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])
        assert.isBelow(kibibytes / 1024, 640)
      }
    })
  )
})

describe("SIGTERM", () => {
  it.live("stops the daemon within two seconds whatever clients do, and every accepted request is answered", () =>
    Effect.gen(function* () {
      const daemon = yield* start()
      const { socket } = daemon
      yield* rpc(socket, "add", { name: "db", value: "x" })
      yield* rpc(socket, "add", { name: "large", value: "<".repeat(256 * 1024) })
      yield* many(socket, 100)
      for (const unread of yield* many(socket, 20)) {
        unread.socket.pause()
        unread.send(
          '{"method":"secrets.lease","params":{"secret_name":"large","client_id":"large"},"id":1}\n'.repeat(20)
        )
      }
      for (const half of yield* many(socket, 50)) half.send(status.slice(0, 10))
      for (const unread of yield* many(socket, 20)) {
        unread.socket.pause()
        unread.send(`${status}\n`.repeat(5_000))
      }
      const busy = yield* connect(socket)
      const lease = '{"method":"secrets.lease","params":{"secret_name":"db","client_id":"busy"},"id":1}\n'
      busy.send(lease.repeat(5_000))
      assert.include(yield* line(busy), "lease_id")
      const { status: exitStatus } = yield* promptly(2_000, daemon.stop())
      assert.strictEqual(exitStatus, 0)
      let answered = 1
      for (let reply = yield* line(busy); reply !== undefined; reply = yield* line(busy)) {
        assert.strictEqual(JSON.parse(reply).result.value, "x")
        answered += 1
      }
      const granted = auditOf(daemon.directory).filter(
        ({ client_id, action }) => client_id === "busy" && action === "lease_acquire"
      )
      assert.strictEqual(answered, granted.length)
      assert.isFalse(fs.existsSync(socket))
    })
  )
})

describe("SIGTERM to a busy daemon", () => {
  it.live("answers the clients that wait to be accepted", () =>
    Effect.gen(function* () {
      const daemon = yield* start()
      daemon.signal("SIGSTOP")
      const waiting = yield* many(daemon.socket, 20)
      for (const connection of waiting) connection.send(`${status}\n`)
      daemon.signal("SIGTERM")
      daemon.signal("SIGCONT")
      for (const connection of waiting) assert.include(yield* line(connection), '"running":true')
      assert.strictEqual((yield* daemon.ended).status, 0)
    })
  )
})

describe("SIGTERM while changes are queued", () => {
  const count = 60

  it.live("answers each queued change: it was done, or it was not begun", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      for (let n = 0; n < count; n += 1) yield* rpc(first.socket, "add", { name: `u${n}`, value: "old" })
      // Each change writes it again: all together take their time, and the one under way ends in time.
      yield* rpc(first.socket, "add", { name: "large", value: "x".repeat(400_000) })
      const connections = yield* many(first.socket, count)
      for (const [n, connection] of connections.entries()) {
        connection.send(`{"method":"secrets.update","params":{"name":"u${n}","value":"new"},"id":1}\n`)
      }
      const [begun] = connections
      if (begun === undefined) throw new Error("no connection")
      const answers = [yield* line(begun)]
      const ended = yield* first.stop()
      for (const connection of connections.slice(1)) answers.push(yield* line(connection))
      assert.deepStrictEqual([ended.status, ended.signal], [0, null])
      const replies = answers.map((answer) => JSON.parse(answer ?? "null"))
      const done = replies.map((answer) => answer?.result?.success === true)
      assert.isTrue(
        replies.every((answer, n) => done[n] || answer?.error?.message.startsWith("the daemon is stopping")),
        answers.join("\n")
      )
      assert.isTrue(done.includes(false), "none had to wait")
      const second = yield* startDaemon({ home })
      for (let n = 0; n < count; n += 1) {
        const { value } = (yield* rpc(second.socket, "lease", { secret_name: `u${n}`, client_id: "c" })).result
        assert.strictEqual(value, done[n] ? "new" : "old", `u${n}`)
      }
    })
  )
})
