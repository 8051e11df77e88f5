/**
 * Requests are repeated while the daemon is away, on timers of the test. Checks the length
 * of the pauses and the deadline. No request is sent twice that must be sent once.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { type After, type ClientRequest, sendRequests, type SendOutcome } from "../../../src/rpc/client/sendRequests.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { eventually } from "../../support/waiting.ts"

/** Timers that the test fires; `pauses` are those that began, the deadline first. */
const makeTimers = () => {
  const waiting = new Set<{ readonly millis: number; readonly run: () => void }>()
  const started: Array<number> = []
  let onStart = () => {}
  const after: After = (millis, run) => {
    const timer = { millis, run }
    started.push(millis)
    waiting.add(timer)
    onStart()
    return () => void waiting.delete(timer)
  }
  const fire = (timer: { readonly run: () => void } | undefined) => {
    for (const one of waiting) if (one === timer) waiting.delete(one)
    timer?.run()
  }
  return {
    after,
    started,
    waiting,
    /** Waits for the next pause and ends it. */
    endPause: Effect.callback<void>((resume) => {
      const look = () => {
        const [, pause] = waiting
        if (pause === undefined) return
        onStart = () => {}
        queueMicrotask(() => {
          fire(pause)
          resume(Effect.void)
        })
      }
      onStart = look
      look()
    }),
    endDeadline: Effect.sync(() => fire([...waiting][0]))
  }
}

const start = (
  socketPath: string,
  requests: ReadonlyArray<ClientRequest>,
  ownerSocket?: string,
  returnsSoon?: () => Promise<boolean>
) => {
  const timers = makeTimers()
  const outcomes: Array<SendOutcome> = []
  const waits: Array<number> = []
  const onWait = () => void waits.push(timers.started.length)
  const done = new Promise<SendOutcome>((resolve) => {
    const options = { socketPath, ownerSocket, returnsSoon, onWait, seconds: 5, after: timers.after }
    sendRequests(options, requests, (outcome) => {
      outcomes.push(outcome)
      resolve(outcome)
    })
  })
  return { ...timers, outcomes, waits, outcome: Effect.promise(() => done) }
}

const lease: ClientRequest = { method: "secrets.lease", params: {} }
const place = Effect.map(temporaryDirectory, (directory) => path.join(directory, "s"))

/** A daemon that handles each connection with the next of these, the last one for all others. */
const listen = (socketPath: string, ...handlers: ReadonlyArray<(socket: net.Socket, lines: string) => void>) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      let count = 0
      const server = net.createServer((socket) => {
        const handler = handlers[Math.min(count, handlers.length - 1)]
        count += 1
        socket.on("error", () => undefined)
        socket.once("data", (lines) => handler?.(socket, String(lines)))
      })
      server.listen(socketPath, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  )

const cut = (socket: net.Socket) => void socket.destroy()
const reply =
  (...results: ReadonlyArray<object>) =>
  (socket: net.Socket) =>
    void socket.write(results.map((result) => `${JSON.stringify({ jsonrpc: "2.0", ...result, id: 1 })}\n`).join(""))

describe("requests to a daemon that is away", () => {
  it.live("are repeated after pauses that grow to a tenth of a second, until the deadline", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const { endDeadline, endPause, outcome, outcomes, started, waiting } = start(socketPath, [lease])
      for (let n = 0; n < 8; n += 1) yield* endPause
      assert.deepStrictEqual(
        started.map((millis) => Math.round(millis)),
        [5000, 10, 16, 26, 41, 66, 100, 100, 100].slice(0, started.length)
      )
      assert.isAtLeast(started.length, 9)
      yield* endDeadline
      assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ENOENT" })
      assert.strictEqual(waiting.size, 0)
      // A daemon that comes now gets nothing.
      yield* listen(socketPath, () => assert.fail("a request after the deadline"))
      yield* Effect.sleep("20 millis")
      assert.lengthOf(outcomes, 1)
    })
  )

  it.live("go to the owner's socket first, and at once to the other one where it cannot be used", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const ownerSocket = `${socketPath}.owner`
      const ask = (timers = makeTimers()) =>
        Effect.promise(
          () =>
            new Promise<SendOutcome>((resolve) =>
              sendRequests({ socketPath, ownerSocket, seconds: 5, after: timers.after }, [lease], resolve)
            )
        )
      yield* listen(socketPath, reply({ result: "group" }))
      const timers = makeTimers()
      assert.deepInclude(yield* ask(timers), { replies: [{ error: undefined, result: "group" }] })
      assert.deepStrictEqual(timers.started, [5000])
      yield* listen(ownerSocket, reply({ result: "owner" }))
      assert.deepInclude(yield* ask(), { replies: [{ error: undefined, result: "owner" }] })
    })
  )

  it.live("are reported as such, also if the deadline passed before the system could say so", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      for (const ownerSocket of [undefined, `${socketPath}.owner`]) {
        const { endDeadline, outcome } = start(socketPath, [lease], ownerSocket)
        yield* endDeadline
        assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ENOENT" })
      }
    })
  )

  it.live("are sent when the daemon is back", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const { endPause, outcome, waiting } = start(socketPath, [lease])
      yield* endPause
      yield* listen(socketPath, reply({ result: 1 }))
      yield* endPause
      assert.deepStrictEqual(yield* outcome, { _tag: "Replies", replies: [{ error: undefined, result: 1 }] })
      assert.strictEqual(waiting.size, 0)
    })
  )

  it.live("are not repeated where it is not expected back", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const { outcome, started, waiting } = start(socketPath, [lease], undefined, () => Promise.resolve(false))
      assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ENOENT" })
      assert.deepStrictEqual([started, waiting.size], [[5000], 0])
    })
  )

  it.live("are refused three times before it counts as away, as macOS refuses them in a crowd", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const dead = yield* listen(`${socketPath}.first`)
      fs.linkSync(`${socketPath}.first`, socketPath)
      yield* Effect.promise(() => new Promise((resolve) => dead.close(resolve)))
      let asked = 0
      const returnsSoon = () => Promise.resolve((asked += 1) < 0)
      const { endPause, outcome, started } = start(socketPath, [lease], undefined, returnsSoon)
      yield* endPause
      assert.strictEqual(asked, 0)
      yield* endPause
      assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ECONNREFUSED" })
      assert.deepStrictEqual([asked, started.length], [1, 3])
    })
  )

  it.live("are repeated for three and a half seconds where it is expected back, after one question", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      let questions = 0
      const { endPause, outcomes, started } = start(socketPath, [lease], undefined, async () => {
        questions += 1
        return true
      })
      const waited = () => started.slice(1).reduce((sum, millis) => sum + millis, 0)
      do yield* endPause
      while (waited() < 3500)
      yield* eventually(
        Effect.sync(() => outcomes),
        (found) => found.length > 0
      )
      assert.deepStrictEqual(outcomes, [{ _tag: "DaemonUnavailable", socketPath, code: "ENOENT" }])
      assert.isBelow(waited(), 3700)
      assert.strictEqual(questions, 1)
    })
  )

  it.live("are repeated without a question if it has just been there", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const server = yield* listen(socketPath, (socket) => {
        server.close()
        cut(socket)
      })
      const asked = () => Promise.reject(new Error("a question"))
      const { endDeadline, endPause, outcome } = start(socketPath, [lease], undefined, asked)
      yield* endPause
      yield* endPause
      yield* endDeadline
      assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ENOENT" })
    })
  )

  it.live("are not repeated for a permanent reason", () =>
    Effect.gen(function* () {
      const file = yield* place
      fs.writeFileSync(file, "")
      const socketPath = path.join(file, "s")
      const { outcome, started } = start(socketPath, [lease])
      assert.deepStrictEqual(yield* outcome, { _tag: "DaemonUnavailable", socketPath, code: "ENOTDIR" })
      assert.deepStrictEqual(started, [5000])
    })
  )
})

describe("requests whose connection ends before the reply", () => {
  it.live("are sent again, all of them", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const received: Array<string> = []
      yield* listen(
        socketPath,
        (socket, lines) => {
          received.push(lines)
          reply({ result: 1 })(socket)
          socket.end()
        },
        (socket, lines) => {
          received.push(lines)
          reply({ result: 1 }, { result: 2 })(socket)
        }
      )
      const { endPause, outcome } = start(socketPath, [lease, { method: "daemon.status", params: {} }])
      yield* endPause
      assert.deepStrictEqual(yield* outcome, {
        _tag: "Replies",
        replies: [
          { error: undefined, result: 1 },
          { error: undefined, result: 2 }
        ]
      })
      assert.strictEqual(received[0], received[1])
      assert.lengthOf(received[0]?.trim().split("\n") ?? [], 2)
    })
  )

  it.live("are not sent again when they may run only once, also if the daemon is away then", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      const server = yield* listen(socketPath, (socket) => {
        server.close()
        cut(socket)
      })
      const { outcome, started } = start(socketPath, [{ method: "secrets.add", params: {} }])
      assert.strictEqual((yield* outcome)._tag, "InvalidReply")
      assert.deepStrictEqual(started, [5000])
    })
  )

  it.live("succeed if their target is gone by then, and only then", () =>
    Effect.gen(function* () {
      const gone = { error: { code: -32603, message: "gone", data: { tag: "LeaseNotFound" } } }
      const other = { error: { code: -32603, message: "no", data: { tag: "AuditLogError" } } }
      for (const [fates, succeeds] of [
        [[cut, reply(gone)], true],
        [[cut, reply(other)], false],
        [[reply(gone)], false]
      ] as const) {
        const socketPath = yield* place
        yield* listen(socketPath, ...fates)
        const { endPause, outcome } = start(socketPath, [{ method: "secrets.revoke", params: {} }])
        if (fates.length > 1) yield* endPause
        const came = yield* outcome
        assert.strictEqual(came._tag === "Replies" && came.replies[0]?.error === undefined, succeeds)
      }
    })
  )
})

describe("requests to a daemon that does not finish its reply", () => {
  it.live("end at the deadline, though the reply comes byte by byte", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      yield* listen(socketPath, (socket) => {
        const timer = setInterval(() => socket.write("x"), 5)
        socket.once("close", () => clearInterval(timer))
      })
      const { endDeadline, outcome } = start(socketPath, [lease])
      yield* Effect.sleep("30 millis")
      yield* endDeadline
      assert.deepStrictEqual(yield* outcome, { _tag: "RequestTimedOut", seconds: 5 })
    })
  )

  it.live("return undefined for a line that is no reply", () =>
    Effect.gen(function* () {
      const socketPath = yield* place
      yield* listen(socketPath, (socket) => void socket.write("SSH-2.0\n"))
      const { outcome } = start(socketPath, [lease])
      assert.deepStrictEqual(yield* outcome, { _tag: "Replies", replies: [undefined] })
    })
  )
})

describe("the wait for a daemon", () => {
  it.live("is told once, after a moment", () =>
    Effect.gen(function* () {
      const { endDeadline, endPause, outcome, started, waits } = start(yield* place, [lease])
      for (let n = 0; n < 4; n += 1) yield* endPause
      assert.deepStrictEqual(waits, [])
      for (let n = 0; n < 6; n += 1) yield* endPause
      assert.lengthOf(waits, 1)
      const told = started.slice(1, waits[0]).reduce((sum, pause) => sum + pause, 0)
      assert.isTrue(told >= 200 && told < 350, String(told))
      yield* endDeadline
      yield* outcome
    })
  )
})
