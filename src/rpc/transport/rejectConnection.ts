/**
 * Turns a connection away with a reason that reaches the client.
 *
 * A client that connects and sends at once would find the connection closed before it
 * has read anything. So its side is left open for a moment and what it sends is read
 * and dropped. Only few have that moment at a time: each takes one of the files that
 * are spared for the daemon's own work.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as net from "node:net"

const moment = Duration.millis(250)
const maxAtOnce = 2

/** `reply` is what each of them is sent. */
export const makeRejector = (reply: string) => {
  let lingering = 0
  return (connection: net.Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      connection.end(reply)
      if (lingering >= maxAtOnce) return Effect.sync(() => connection.destroySoon())
      lingering += 1
      return Effect.ensuring(
        Effect.timeoutOption(gone(connection), moment),
        Effect.sync(() => {
          lingering -= 1
          connection.destroy()
        })
      )
    })
}

/** Reads on until the client has left. */
const gone = (connection: net.Socket) =>
  Effect.callback<void>((resume) => {
    connection.once("close", () => resume(Effect.void))
    connection.resume()
  })
