/**
 * Serves connections: lines in, replies out, in order, one at a time on each.
 *
 * A client may send its requests in any pieces, many at once, and may shut its
 * side down: what it asked for is answered first. A client that does not take its
 * replies is not read from either, and is cut off in the end; so is one that does
 * not end its line. When the server ends, the request under way is finished and
 * answered; idle connections end at once.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { ConnectionState } from "../transport/Connections.ts"
import { makeDispatch } from "./dispatch.ts"
import { makeAdmission } from "./admission.ts"
import type { Frame } from "../protocol/framing.ts"
import { LineSplitter } from "../protocol/framing.ts"
import * as limits from "../protocol/limits.ts"
import { encodeError, maxLineBytes, noId, lineUnended } from "../protocol/Protocol.ts"

export const serveConnections = Effect.fnUntraced(function* () {
  const server = yield* SocketServer.SocketServer
  const admission = yield* makeAdmission
  const dispatch = makeDispatch(admission)

  const connection = Effect.fnUntraced(
    function* (socket: Socket.Socket) {
      const account = yield* ConnectionState
      const write = replyWriter(yield* socket.writer, account)
      const pull = yield* Socket.readerBytes(socket)
      const splitter = new LineSplitter(maxLineBytes)

      const answer = (frame: Frame) => {
        const size = sizeOf(frame)
        const work = Effect.flatMap(dispatch(frame), (reply) => {
          account.setBuffered(splitter.held + size + reply.length)
          return Effect.map(write(reply), account.markServed)
        }).pipe(Effect.uninterruptible)
        account.setBuffered(splitter.held + size)
        return admission.forRequest(size, work)
      }

      const read = Effect.gen(function* () {
        let begun = 0n
        while (true) {
          for (const bytes of yield* splitter.unfinished > 0 ? beforeDeadline(pull, begun) : pull) {
            const begins = splitter.unfinished === 0
            if (splitter.unfinished > limits.smallRequestBytes) yield* admission.betweenRequests
            splitter.push(bytes)
            let answered = 0
            for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) {
              if (answered % limits.requestsPerTurn === 1) yield* admission.betweenRequests
              yield* answer(frame)
              answered += 1
            }
            account.setBuffered(splitter.held)
            if (splitter.unfinished > 0 && (answered > 0 || begins)) begun = yield* Clock.monotonicTimeNanos
          }
        }
      })

      yield* read.pipe(
        Effect.catchIf(endedInOrder, () => {
          const last = splitter.end()
          return last === undefined ? Effect.void : answer(last)
        }),
        Effect.catchTag("LineUnended", () => write(encodeError(noId, lineUnended)))
      )
    },
    Effect.scoped,
    Effect.catchTag("SocketError", () => Effect.void)
  )

  return yield* server.run(connection)
})

class LineUnended extends Data.TaggedError("LineUnended") {}

const beforeDeadline = <A, E>(pull: Effect.Effect<A, E>, begun: bigint) =>
  Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
    const left = begun + limits.lineDeadlineNanos - now
    return Effect.timeoutOrElse(pull, {
      duration: Duration.nanos(left > 0n ? left : 0n),
      orElse: () => Effect.fail(new LineUnended())
    })
  })

/** Writes a reply, at once or piece by piece, each of which the client has to take in time. */
const replyWriter = (out: Socket.Writer, account: ConnectionState) => {
  const gone = Effect.fail(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: takesNothing }) }))
  const cutOff = Effect.andThen(out.write(new Socket.CloseEvent(takesNothing)), gone)
  // A write to a connection that was cut off in this moment would wait for an end that has been.
  const put = (bytes: string | Uint8Array) => (account.isClosed() ? gone : out.write(bytes))
  const inTime = (bytes: string | Uint8Array) =>
    put(bytes).pipe(Effect.interruptible, Effect.timeoutOrElse({ duration: limits.writeTimeout, orElse: () => cutOff }))
  // What waits for nobody needs no deadline; a fiber and a timer for each reply cost as much as the lease.
  const piece = (bytes: string | Uint8Array) => (account.hasRoom(maxBytes(bytes)) ? put(bytes) : inTime(bytes))
  return (reply: string) => {
    if (reply.length <= limits.replyChunkBytes) return piece(reply)
    const bytes = Buffer.from(reply)
    const count = Math.ceil(bytes.length / limits.replyChunkBytes)
    const pieces = Array.from({ length: count }, (_, n) =>
      bytes.subarray(n * limits.replyChunkBytes, (n + 1) * limits.replyChunkBytes)
    )
    return Effect.forEach(pieces, piece, { discard: true })
  }
}

/** No character of a text takes more than three bytes for each of its units. */
const maxBytes = (bytes: string | Uint8Array): number => (typeof bytes === "string" ? 3 : 1) * bytes.length

/** Any code but that of an end in order: what is left of such a client is not answered. */
const takesNothing = 1008

/** About the bytes of a request. */
const sizeOf = (frame: Frame): number => ("line" in frame ? frame.line.length : 0)

/** The client has sent all it wants to send. Anything else that ends a connection leaves nobody to answer. */
const endedInOrder = (error: Socket.SocketError | LineUnended): error is Socket.SocketError =>
  error._tag === "SocketError" && error.reason._tag === "SocketCloseError" && error.reason.code === 1000
