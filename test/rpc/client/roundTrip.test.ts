/**
 * An exchange ends: with the replies, in its time, or when there is no end of them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as path from "node:path"
import { roundTrip, type RoundTrip } from "../../../src/rpc/client/roundTrip.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** Asks whoever answers like this; gives the outcome and how many milliseconds it took. */
const ask = Effect.fnUntraced(function* (answer: (socket: net.Socket) => void, patience: number) {
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
  const begun = performance.now()
  const outcome = yield* Effect.callback<RoundTrip>((resume) => {
    roundTrip(place, ["{}"], patience, (came) => resume(Effect.succeed(came)))
  })
  return { outcome, took: performance.now() - begun }
})

describe.concurrent("an exchange", () => {
  it.live("ends in its time where the reply comes byte by byte and never as a whole", () =>
    Effect.gen(function* () {
      const drip = (socket: net.Socket) => {
        const timer = setInterval(() => socket.write("x"), 20)
        socket.once("close", () => clearInterval(timer))
      }
      const { outcome, took } = yield* ask(drip, 200)
      assert.deepStrictEqual(outcome, { _tag: "Silent" })
      assert.isAtLeast(took, 199)
    }).pipe(Effect.timeout("3 seconds"))
  )

  it.live("ends where the reply has no end", () =>
    Effect.gen(function* () {
      const piece = Buffer.alloc(1024 * 1024, "x")
      const flood = (socket: net.Socket): void => {
        if (!socket.destroyed) socket.write(piece, () => flood(socket))
      }
      const { outcome } = yield* ask(flood, 60_000)
      assert.deepStrictEqual(outcome, { _tag: "TooMuch" })
    })
  )

  it.live("gives what is there when the last line has ended", () =>
    Effect.gen(function* () {
      const { outcome } = yield* ask((socket) => void socket.write("a\nb"), 60_000)
      assert.deepStrictEqual(outcome, { _tag: "Replies", lines: ["a", "b"] })
    })
  )
})
