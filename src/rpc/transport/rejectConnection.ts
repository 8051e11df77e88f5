/**
 * Rejects a connection with a reply that reaches the client.
 *
 * A client that sends at once could find the connection closed before it has read the
 * reply. So its input is read and discarded for a moment. Few connections get that moment
 * at a time: each uses one of the files that are spared for the daemon.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as net from "node:net"

const lingerTime = Duration.millis(250)
const maxLingering = 2

/** Each rejected connection is sent the reply. */
export const makeRejector = (reply: string) => {
  let lingering = 0
  return (connection: net.Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      connection.end(reply)
      if (lingering >= maxLingering) return Effect.sync(() => connection.destroySoon())
      lingering += 1
      return Effect.ensuring(
        Effect.timeoutOption(gone(connection), lingerTime),
        Effect.sync(() => {
          lingering -= 1
          connection.destroy()
        })
      )
    })
}

/** Reads until the client closes. */
const gone = (connection: net.Socket) =>
  Effect.callback<void>((resume) => {
    connection.once("close", () => resume(Effect.void))
    connection.resume()
  })
