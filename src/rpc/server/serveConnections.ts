/**
 * Serves connections: reads request lines and writes replies, in order, one at a time for
 * each connection.
 *
 * Backpressure: the next request is read once the reply is written. A client may pipeline requests, and shut down its side before the replies. A connection
 * whose replies are not read, or whose line does not end, is closed after a timeout. At a
 * stop, requests in progress get their replies, and idle connections end at once.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { CurrentCaller } from "../../daemon/audit/CurrentCaller.ts"
import { ConnectionState } from "../transport/Connections.ts"
import { broken } from "../transport/connectionSocket.ts"
import { makeDispatch } from "./dispatch.ts"
import { makeAdmission } from "./admission.ts"
import type { Frame } from "../protocol/framing.ts"
import { LineSplitter } from "../protocol/framing.ts"
import * as limits from "../protocol/limits.ts"
import { encodeError, lineUnended, noId } from "../protocol/Protocol.ts"

export const serveConnections = Effect.fnUntraced(function* () {
  const server = yield* SocketServer.SocketServer
  const admission = yield* makeAdmission
  const dispatch = yield* makeDispatch(admission)

  // One function for all connections: generators of one function share a hidden class, which keeps them fast.
  const readRequests = Effect.fnUntraced(function* <E, R>(
    pull: Effect.Effect<ReadonlyArray<Uint8Array>, Socket.SocketError>,
    splitter: LineSplitter,
    state: ConnectionState,
    answer: (frame: Frame) => Effect.Effect<void, E, R>
  ) {
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
        state.setBuffered(splitter.held)
        if (splitter.unfinished > 0 && (answered > 0 || begins)) begun = yield* Clock.monotonicTimeNanos
      }
    }
  })

  const connection = Effect.fnUntraced(
    function* (socket: Socket.Socket) {
      const state = yield* ConnectionState
      const write = replyWriter(yield* socket.writer, state)
      const pull = yield* Socket.readerBytes(socket)
      const splitter = new LineSplitter(limits.maxLineBytes)

      const answer = (frame: Frame) => {
        const size = sizeOf(frame)
        const send = (reply: string) => {
          state.setBuffered(splitter.held + size + reply.length)
          return Effect.map(write(reply), state.markServed)
        }
        const work = Effect.uninterruptible(dispatch(frame, state.caller, send))
        state.setBuffered(splitter.held + size)
        return admission.forRequest(size, work)
      }

      yield* readRequests(pull, splitter, state, answer).pipe(
        Effect.catchIf(clientFinished, () => {
          const last = splitter.end()
          return last === undefined ? Effect.void : answer(last)
        }),
        Effect.catchTag("LineUnended", () => write(encodeError(noId, lineUnended))),
        Effect.provideService(CurrentCaller, state.caller)
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

/** Writes a reply in chunks; the client must read each one in time. */
const replyWriter = (out: Socket.Writer, state: ConnectionState) => {
  const cutOff = () => Effect.andThen(out.write(new Socket.CloseEvent(notReading)), broken)
  const inTime = (bytes: string | Uint8Array) =>
    out.write(bytes).pipe(Effect.interruptible, Effect.timeoutOrElse({ duration: limits.writeTimeout, orElse: cutOff }))
  // A write that fits into the buffer needs no deadline; its fiber and timer would cost as much as a lease.
  const chunk = (bytes: string | Uint8Array) => (state.hasRoom(maxUtf8Bytes(bytes)) ? out.write(bytes) : inTime(bytes))
  return (reply: string) => {
    if (reply.length <= limits.replyChunkBytes) return chunk(reply)
    const bytes = Buffer.from(reply)
    const count = Math.ceil(bytes.length / limits.replyChunkBytes)
    const chunks = Array.from({ length: count }, (_, n) =>
      bytes.subarray(n * limits.replyChunkBytes, (n + 1) * limits.replyChunkBytes)
    )
    return Effect.forEach(chunks, chunk, { discard: true })
  }
}

/** Returns three bytes for each UTF-16 code unit, which is the most in UTF-8. */
const maxUtf8Bytes = (bytes: string | Uint8Array): number => (typeof bytes === "string" ? 3 : 1) * bytes.length

/** Any code but that of an orderly end, after which the rest of the input would be answered. */
const notReading = 1008

/** Returns the approximate size of a request, in bytes. */
const sizeOf = (frame: Frame): number => ("line" in frame ? frame.line.length : 0)

/** Returns whether the client has shut down its side; after any other end, no reply can be read. */
const clientFinished = (error: Socket.SocketError | LineUnended): error is Socket.SocketError =>
  error._tag === "SocketError" && error.reason._tag === "SocketCloseError" && error.reason.code === 1000
