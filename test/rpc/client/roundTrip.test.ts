/**
 * A round trip ends with the replies, or when there is no end of them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as path from "node:path"
import { roundTrip, type RoundTrip } from "../../../src/rpc/client/roundTrip.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** Sends a line to a server that replies like this; returns the outcome. */
const ask = Effect.fnUntraced(function* (answer: (socket: net.Socket) => void) {
  const place = path.join(yield* temporaryDirectory, "s")
  yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("error", () => undefined)
        socket.once("data", () => answer(socket))
      })
      server.listen(place, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return yield* Effect.callback<RoundTrip>((resume) => {
    roundTrip(place, ["{}"], (came) => resume(Effect.succeed(came)))
  })
})

describe.concurrent("a round trip", () => {
  it.live("ends if the reply is endless", () =>
    Effect.gen(function* () {
      const piece = Buffer.alloc(1024 * 1024, "x")
      const flood = (socket: net.Socket): void => {
        if (!socket.destroyed) socket.write(piece, () => flood(socket))
      }
      const outcome = yield* ask(flood)
      assert.deepStrictEqual(outcome, { _tag: "ReplyTooLarge" })
    })
  )

  it.live("returns the lines when the last one has ended", () =>
    Effect.gen(function* () {
      const outcome = yield* ask((socket) => void socket.write("a\nb"))
      assert.deepStrictEqual(outcome, { _tag: "Replies", lines: ["a", "b"] })
    })
  )
})
