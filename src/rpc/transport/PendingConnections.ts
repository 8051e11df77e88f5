/**
 * Connections on their way from a listener to whoever serves them.
 *
 * Those that arrive while nobody serves wait, unread, until somebody does: a daemon
 * that listens is one that will answer. Only beyond a number that no start leaves
 * waiting are they turned away.
 */
import type * as net from "node:net"

/** What Node reads ahead and holds of replies for one connection, before it waits; of its own accord it would be 64 KiB. */
const highWaterMark = 16 * 1024

/** How a listener takes connections: unread, and open for the answer after the client has shut its side down. */
export const serverOptions = { allowHalfOpen: true, pauseOnConnect: true, highWaterMark } as const

/** As long as the line in which the system itself lets connections wait. */
const maxPending = 1024

export class PendingConnections {
  private waiting: Array<net.Socket> = []
  private take: ((connection: net.Socket) => void) | undefined

  /** Takes a connection from the listener. */
  readonly accept = (connection: net.Socket): void => {
    connection.on("error", () => undefined)
    if (this.take !== undefined) return this.take(connection)
    if (this.waiting.length < maxPending) this.waiting.push(connection)
    else connection.destroy()
  }

  /** From here on connections are served, beginning with those that wait. */
  serve(take: (connection: net.Socket) => void): void {
    this.take = take
    const waiting = this.waiting
    this.waiting = []
    for (const connection of waiting) take(connection)
  }

  /** From here on connections wait. */
  pause(): void {
    this.take = undefined
  }

  /** Turns away what waits: nobody will serve any more. */
  end(): void {
    for (const connection of this.waiting) connection.destroy()
    this.waiting = []
  }
}
