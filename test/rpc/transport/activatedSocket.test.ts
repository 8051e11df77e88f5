/**
 * A socket passed by the supervisor: served if it matches the settings, refused with a hint
 * if not, and never unlinked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { adoptActivatedSockets } from "../../../src/rpc/transport/activatedSocket.ts"
import type { SocketAccess } from "../../../src/domain/ListenSocket.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const isLinux = process.platform === "linux"

/** A socket of another process, and its descriptor. */
const listening = (listenAt: string | number, mode = 0o600) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer()
      server.listen(listenAt, () => {
        if (typeof listenAt === "string") fs.chmodSync(listenAt, mode)
        resume(Effect.succeed(server))
      })
    }),
    (server) => Effect.sync(() => server.close())
  )
const descriptorOf = (held: net.Server | net.Socket): number => (held as any)._handle.fd

const adopt = (descriptor: number, at: string, access: SocketAccess) =>
  Effect.flatMap(adoptActivatedSockets([descriptor], [{ path: at, access }]), (adopted) =>
    Effect.fromNullishOr(adopted.get(at))
  )

const refusal = (descriptor: number, at: string) =>
  Effect.flip(adoptActivatedSockets([descriptor], [{ path: at, access: { mode: 0o600 } }]))

describe("a socket passed by the supervisor", () => {
  it.live("is adopted if it listens at the path of the settings, by any name of its directory", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const server = yield* listening(path.join(directory, "s"))
      fs.symlinkSync(directory, path.join(directory, "link"))
      for (const at of [path.join(directory, "s"), path.join(directory, "link", "s")]) {
        const handed = yield* adopt(descriptorOf(server), at, { mode: 0o600 })
        assert.strictEqual(handed.descriptor, descriptorOf(server))
      }
    })
  )

  it.live("is one of several, each recognized by its path and with its own mode, and none twice", () =>
    Effect.gen(function* () {
      if (!isLinux) return
      const directory = yield* temporaryDirectory
      const places = [
        { path: path.join(directory, "owner"), access: { mode: 0o600 } },
        { path: path.join(directory, "group"), access: { mode: 0o660, group: "g" } }
      ] as const
      const [own, group] = [yield* listening(places[0].path), yield* listening(places[1].path, 0o660)]
      const passed = [descriptorOf(group), descriptorOf(own)]
      const adopted = yield* adoptActivatedSockets(passed, places)
      assert.deepStrictEqual(
        places.map((place) => adopted.get(place.path)?.descriptor),
        [descriptorOf(own), descriptorOf(group)]
      )
      const refused = (descriptors: ReadonlyArray<number>) =>
        Effect.map(Effect.flip(adoptActivatedSockets(descriptors, places)), ({ reason }) => reason)
      assert.include(yield* refused([...passed, descriptorOf(own)]), "every socket of the settings was passed already")
      const elsewhere = yield* listening(path.join(directory, "else"))
      assert.include(
        yield* refused([descriptorOf(elsewhere)]),
        `it listens at ${directory}/else and not at ${directory}/owner or ${directory}/group`
      )
      fs.chmodSync(places[0].path, 0o660)
      assert.include(yield* refused(passed), "its mode is 660, which lets in more than 600")
    })
  )

  it.live("is adopted with a mode that lets no other user connect", () =>
    Effect.gen(function* () {
      const at = path.join(yield* temporaryDirectory, "s")
      const server = yield* listening(at, 0o755)
      yield* adopt(descriptorOf(server), at, { mode: 0o600 })
    })
  )

  it.live("is refused with status 78 if it is closed, no socket, or not at that path", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const at = path.join(directory, "s")
      const file = fs.openSync(path.join(directory, "file"), "w")
      assert.include((yield* refusal(file, at)).reason, `descriptor ${file} was passed as the socket, but it is not a`)
      fs.closeSync(file)
      assert.include((yield* refusal(9_999, at)).reason, "it is not open")
      const server = yield* listening(path.join(directory, "other"))
      if (!isLinux) return
      const elsewhere = yield* refusal(descriptorOf(server), at)
      assert.include(elsewhere.reason, `it listens at ${path.join(directory, "other")} and not at ${at}`)
      assert.include(elsewhere.fix, `ListenStream=${at}`)
      assert.strictEqual(elsewhere.exitStatus, 78)
    })
  )

  it.live("is refused if it is a connection or open to a network", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const at = path.join(directory, "s")
      yield* listening(at)
      const connection = yield* Effect.acquireRelease(
        Effect.callback<net.Socket>((resume) => {
          const socket = net.connect(at, () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const network = yield* listening(0)
      for (const held of [connection, network]) {
        const found = yield* Effect.exit(
          Effect.flatMap(adopt(descriptorOf(held), at, { mode: 0o600 }), (handed) => handed.listen)
        )
        assert.strictEqual(found._tag, "Failure")
      }
    })
  )

  for (const mode of [0o666, 0o660, 0o602]) {
    it.live(`is refused with the mode ${mode.toString(8)}, which permits other users`, () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const at = path.join(directory, "s")
        const server = yield* listening(at, mode)
        const { fix, reason } = yield* refusal(descriptorOf(server), at)
        assert.include(reason, `its mode is ${mode.toString(8)}, which lets in more than 600`)
        assert.include(fix, "SocketMode=0600")
      })
    )
  }
})
