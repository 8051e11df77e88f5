/**
 * A socket comes into its place whole, and never over anything that is there.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { inspectSocket, bindSocket, unlinkSocket } from "../../../src/rpc/transport/socketFile.ts"
import { modeOf } from "../../harness/daemon.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const put = (at: string) =>
  Effect.acquireRelease(bindSocket(net.createServer(), at, { mode: 0o600 }), (socket) =>
    Effect.sync(() => unlinkSocket(at, socket))
  )

describe("bindSocket", () => {
  it.live("leaves only the socket, for its owner alone", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const at = path.join(directory, "a.sock")
      const socket = yield* put(at)
      assert.deepStrictEqual(fs.readdirSync(directory), ["a.sock"])
      assert.strictEqual(modeOf(at), "600")
      assert.strictEqual(yield* inspectSocket(at, socket), "ours")
    })
  )

  it.live("replaces nothing: no file, no dangling link and no socket", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const at = path.join(directory, "a.sock")
      const occupants: ReadonlyArray<() => void> = [
        () => fs.writeFileSync(at, "kept"),
        () => fs.mkdirSync(at),
        () => fs.symlinkSync("nowhere", at)
      ]
      for (const occupy of occupants) {
        occupy()
        const before = fs.lstatSync(at).ino
        const { message } = yield* Effect.flip(bindSocket(net.createServer(), at, { mode: 0o600 }))
        assert.strictEqual(message, `cannot create the socket at ${at}: another file is there`)
        assert.strictEqual(fs.lstatSync(at).ino, before)
        assert.deepStrictEqual(fs.readdirSync(directory), ["a.sock"])
        fs.rmSync(at, { recursive: true })
      }
      const socket = yield* put(at)
      yield* Effect.flip(bindSocket(net.createServer(), at, { mode: 0o600 }))
      assert.strictEqual(yield* inspectSocket(at, socket), "ours")
    })
  )

  it.live("binds to the longest path of a socket address, and removes what a killed process left", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const at = path.join(directory, "x".repeat(103 - directory.length - 1))
      const left = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<net.Server>((resolve) => {
              const server = net.createServer().listen(`${at.slice(0, -1)}~`, () => resolve(server))
            })
        ),
        (server) => Effect.sync(() => void server.close())
      )
      assert.isTrue(left.listening)
      const socket = yield* put(at)
      assert.deepStrictEqual(fs.readdirSync(directory), [path.basename(at)])
      assert.strictEqual(yield* inspectSocket(at, socket), "ours")
    })
  )

  it.live("refuses a directory that others can write to", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.chmodSync(directory, 0o722)
      const { message } = yield* Effect.flip(bindSocket(net.createServer(), path.join(directory, "s"), { mode: 0o600 }))
      assert.include(message, "can be written by others")
      assert.deepStrictEqual(fs.readdirSync(directory), [])
    })
  )
})

describe("unlinkSocket", () => {
  it.live("leaves a foreign file in its place", () =>
    Effect.gen(function* () {
      const at = path.join(yield* temporaryDirectory, "a.sock")
      const socket = yield* bindSocket(net.createServer(), at, { mode: 0o600 })
      fs.rmSync(at)
      assert.strictEqual(yield* inspectSocket(at, socket), "free")
      const other = yield* put(at)
      assert.strictEqual(yield* inspectSocket(at, socket), "taken")
      unlinkSocket(at, socket)
      assert.strictEqual(yield* inspectSocket(at, other), "ours")
    })
  )
})
