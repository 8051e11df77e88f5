/**
 * The socket path is claimed only if it is free or has a dead daemon's socket. Anything
 * else is named and left alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { setImmediate } from "node:timers/promises"
import { findListener, type StartError } from "../../../src/daemon/files/fileLock.ts"
import { claimSocketPath } from "../../../src/daemon/lifecycle/socketPath.ts"
import { maxSocketPath } from "../../../src/domain/paths.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const listen = (at: string) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer()
      server.listen(at, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

/** Creates a socket without a listener: closing removes only the first name. */
const leaveDeadSocket = (at: string) =>
  Effect.scoped(
    Effect.andThen(
      listen(`${at}.first`),
      Effect.sync(() => fs.linkSync(`${at}.first`, at))
    )
  )

const place = Effect.map(temporaryDirectory, (directory) => path.join(directory, "s.sock"))
const refusal = (at: string) => Effect.flip(claimSocketPath(at)) as Effect.Effect<StartError, unknown, any>
const isLinux = process.platform === "linux"

describe("the socket path", () => {
  it.live("is claimed with a new directory if nothing exists", () =>
    Effect.gen(function* () {
      const socket = path.join(path.dirname(yield* place), "run", "s.sock")
      assert.deepStrictEqual(yield* claimSocketPath(socket), { wasStale: false })
      assert.strictEqual(fs.statSync(path.dirname(socket)).mode & 0o777, 0o700)
    })
  )

  it.live("is refused where others can write, with a hint that leaves a shared directory as it is", () =>
    Effect.gen(function* () {
      const socket = yield* place
      const directory = path.dirname(socket)
      fs.chmodSync(directory, 0o777)
      assert.strictEqual((yield* refusal(socket)).fix, `Run: chmod go-w ${directory}`)
      fs.chmodSync(directory, 0o1777)
      assert.strictEqual((yield* refusal(socket)).fix, "Choose another path with --socket or socket_path")
    })
  )

  it.live("is freed from the socket of a dead daemon", () =>
    Effect.gen(function* () {
      const socket = yield* place
      yield* leaveDeadSocket(socket)
      assert.deepStrictEqual(yield* claimSocketPath(socket), { wasStale: true })
      assert.isFalse(fs.existsSync(socket))
    })
  )

  it.effect("is not taken from a listener that refuses now and then, as macOS does for many connections", () =>
    Effect.gen(function* () {
      const socket = yield* place
      yield* leaveDeadSocket(socket)
      const claim = yield* Effect.forkChild(Effect.exit(refusal(socket)))
      yield* Effect.promise(async () => {
        while (!fs.existsSync(`${socket}.lock`)) await setImmediate()
      })
      fs.renameSync(socket, `${socket}.refusing`)
      yield* listen(socket)
      while (claim.pollUnsafe() === undefined) {
        yield* TestClock.adjust("100 millis")
        yield* Effect.promise(() => setImmediate())
      }
      const { exitStatus } = yield* Effect.flatMap(Fiber.join(claim), (exit) => exit)
      assert.strictEqual(exitStatus, 75)
      assert.isTrue(fs.lstatSync(socket).isSocket())
    })
  )

  it.live("is not claimed through a lock file that is a link", () =>
    Effect.gen(function* () {
      const socket = yield* place
      fs.symlinkSync(`${socket}.elsewhere`, `${socket}.lock`)
      const { exitStatus, fix, reason } = yield* refusal(socket)
      assert.deepStrictEqual(
        [reason, fix, exitStatus],
        [`the lock file ${socket}.lock is a symbolic link`, `Run: rm ${socket}.lock`, 73]
      )
      assert.isFalse(fs.existsSync(`${socket}.elsewhere`))
    })
  )

  it.live("is left to its listener, named by pid if the system reports it", () =>
    Effect.gen(function* () {
      const socket = yield* place
      yield* listen(socket)
      const { exitStatus, reason } = yield* refusal(socket)
      const who = isLinux ? `process ${process.pid}` : "a process with an unknown pid"
      assert.deepStrictEqual([reason, exitStatus], [`another daemon is listening on ${socket}: ${who}`, 75])
      assert.isTrue(fs.lstatSync(socket).isSocket())
      assert.strictEqual(yield* findListener(socket), isLinux ? process.pid : undefined)
    })
  )

  it.live("is left to its listener even if the socket was renamed after bind", () =>
    Effect.gen(function* () {
      const socket = yield* place
      yield* listen(`${socket}.first`)
      fs.renameSync(`${socket}.first`, socket)
      assert.strictEqual(yield* findListener(socket), isLinux ? process.pid : undefined)
      assert.strictEqual((yield* refusal(socket)).exitStatus, 75)
    })
  )

  for (const [what, kind, make] of [
    ["a plain file", "a plain file", (at: string) => Effect.sync(() => fs.writeFileSync(at, "precious"))],
    ["a directory", "a directory", (at: string) => Effect.sync(() => fs.mkdirSync(at))],
    ["a dangling link", "a symbolic link", (at: string) => Effect.sync(() => fs.symlinkSync(`${at}.none`, at))],
    [
      "a link to a file",
      "a symbolic link",
      (at: string) =>
        Effect.sync(() => {
          fs.writeFileSync(`${at}.file`, "precious")
          fs.symlinkSync(`${at}.file`, at)
        })
    ],
    [
      "a link to a live socket",
      "a symbolic link",
      (at: string) => Effect.tap(listen(`${at}.live`), () => Effect.sync(() => fs.symlinkSync(`${at}.live`, at)))
    ],
    [
      "a link to a dead socket",
      "a symbolic link",
      (at: string) =>
        Effect.tap(leaveDeadSocket(`${at}.dead`), () => Effect.sync(() => fs.symlinkSync(`${at}.dead`, at)))
    ]
  ] as const) {
    it.live(`is left alone if ${what} has the name`, () =>
      Effect.gen(function* () {
        const socket = yield* place
        yield* make(socket)
        const before = [fs.lstatSync(socket).ino, fs.readdirSync(path.dirname(socket))]
        const { exitStatus, fix, reason } = yield* refusal(socket)
        assert.deepStrictEqual(
          [reason, exitStatus],
          [`${socket} is not a socket but ${kind}, so it is not replaced`, 73]
        )
        assert.include(fix, "Move it away")
        assert.deepStrictEqual([fs.lstatSync(socket).ino, fs.readdirSync(path.dirname(socket))], before)
      })
    )
  }

  it.live("is left alone if it has the socket of another user, live or dead", () =>
    Effect.gen(function* () {
      const socket = yield* place
      yield* leaveDeadSocket(socket)
      const own = process.getuid
      yield* Effect.acquireUseRelease(
        Effect.sync(() => void (process.getuid = () => fs.lstatSync(socket).uid + 1)),
        () =>
          Effect.gen(function* () {
            const { exitStatus, reason } = yield* refusal(socket)
            assert.include(reason, `${socket} is a socket of another user`)
            assert.strictEqual(exitStatus, 73)
          }),
        () => Effect.sync(() => void (own !== undefined && (process.getuid = own)))
      )
      assert.isTrue(fs.lstatSync(socket).isSocket())
    })
  )

  it.live("is rejected if it has more bytes than a socket address holds", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const fill = maxSocketPath - Buffer.byteLength(`${directory}/`)
      const tooLong = path.join(directory, `ä${"x".repeat(fill - 1)}`)
      const { exitStatus, reason } = yield* refusal(tooLong)
      assert.include(reason, `has ${maxSocketPath + 1} bytes; a socket address holds at most ${maxSocketPath}`)
      assert.strictEqual(exitStatus, 78)
      yield* claimSocketPath(path.join(directory, "x".repeat(fill)))
    })
  )
})
