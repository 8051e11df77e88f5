/**
 * Serves connections: lines in, replies out, in order, one at a time on each.
 *
 * A client may send its requests in any pieces, many at once, and may shut its
 * side down: what it asked for is answered first. A client that does not read its
 * replies is not read from either. When the server ends, the request under way is
 * finished and answered; idle connections end at once.
 */
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { dispatcher } from "./dispatch.ts"
import type { Frame } from "./framing.ts"
import { LineSplitter } from "./framing.ts"
import type { Running } from "./methods.ts"
import { lineLimit } from "./Protocol.ts"

export const serve = Effect.fnUntraced(function* (daemon: Running) {
  const server = yield* SocketServer.SocketServer
  const dispatch = dispatcher(daemon)

  const connection = Effect.fnUntraced(
    function* (socket: Socket.Socket) {
      const out = yield* socket.writer
      const pull = yield* Socket.readerBytes(socket)
      const splitter = new LineSplitter(lineLimit)
      const answer = (frame: Frame) => Effect.uninterruptible(Effect.flatMap(dispatch(frame), out.write))

      const read = Effect.gen(function* () {
        while (true) {
          for (const bytes of yield* pull) {
            for (const frame of splitter.push(bytes)) yield* answer(frame)
          }
        }
      })
      yield* Effect.catchIf(read, endedInOrder, () => Effect.forEach(splitter.end(), answer))
    },
    Effect.scoped,
    Effect.catchTag("SocketError", () => Effect.void)
  )

  return yield* server.run(connection)
})

/** The client has sent all it wants to send. Anything else that ends a connection leaves nobody to answer. */
const endedInOrder = (error: Socket.SocketError): boolean =>
  error.reason._tag === "SocketCloseError" && error.reason.code === 1000
