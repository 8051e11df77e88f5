/**
 * Adapts a connection of the daemon to Effect's Socket.
 *
 * All connections share the errors of their ends. Effect's own adapter makes up to nine for each,
 * with their stacks, which cost as much as a lease.
 */
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import type * as net from "node:net"

const closed = (code: number) => Effect.fail(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code }) }))

/** The input has ended; whether the client still reads is not known. */
const ended = closed(1000)

/** The connection is lost or was cut off: no reply can be read. */
export const broken = closed(1006)

type Input = Effect.Effect<readonly [Uint8Array], Socket.SocketError>

/** Adapts a paused connection that has a listener to its errors. It stays open when the scope of its reader ends. */
export const connectionSocket = (connection: net.Socket): Socket.Socket => {
  const write = (chunk: Uint8Array | string | Socket.CloseEvent) =>
    Effect.suspend(() => {
      if (Socket.isCloseEvent(chunk)) {
        connection.destroy(chunk.code > 1000 ? new Error(`closed with code ${chunk.code}`) : undefined)
        return Effect.void
      }
      // A write to a connection that was just closed would never end.
      if (connection.destroyed) return broken
      return connection.write(chunk) ? Effect.void : drained(connection)
    })
  return Socket.make({
    reader: Effect.map(listen(connection), (pull) => ({ pull, upgrade: () => broken })),
    writer: Effect.succeed({ write, writeAll: Effect.forEach(write, { discard: true }) })
  })
}

/** Returns what takes all input that Node has buffered, and waits for some if there is none. */
const listen = (connection: net.Socket) => {
  let waiting: ((input: Input) => void) | undefined
  const deliver = () => {
    if (waiting === undefined) return
    const input = nextInput(connection)
    if (input === undefined) return
    const resume = waiting
    waiting = undefined
    resume(input)
  }
  const pull: Input = Effect.callback((resume) => {
    waiting = resume
    deliver()
    return Effect.sync(() => void (waiting = undefined))
  })
  return Effect.acquireRelease(
    Effect.sync(() => {
      for (const event of inputEvents) connection.on(event, deliver)
      return pull
    }),
    () =>
      Effect.sync(() => {
        for (const event of inputEvents) connection.off(event, deliver)
      })
  )
}

const inputEvents = ["readable", "end", "close"] as const

/** Returns undefined if there may be input later. */
const nextInput = (connection: net.Socket): Input | undefined => {
  if (connection.errored !== null) return broken
  const bytes: Uint8Array | null = connection.read()
  if (bytes !== null) return Effect.succeed([bytes])
  return connection.readableEnded || connection.destroyed ? ended : undefined
}

/** Waits until Node has room for more output. */
const drained = (connection: net.Socket) =>
  Effect.callback<void, Socket.SocketError>((resume) => {
    const onDrain = () => done(Effect.void)
    const onClose = () => done(broken)
    const stop = () => {
      connection.off("drain", onDrain)
      connection.off("close", onClose)
    }
    const done = (result: Effect.Effect<void, Socket.SocketError>) => {
      stop()
      resume(result)
    }
    // The fiber may have yielded since the write, and the event may be over.
    if (connection.destroyed || connection.errored !== null) return resume(broken)
    if (!connection.writableNeedDrain) return resume(Effect.void)
    connection.on("drain", onDrain)
    connection.on("close", onClose)
    return Effect.sync(stop)
  })
