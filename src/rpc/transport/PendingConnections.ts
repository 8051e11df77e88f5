/**
 * Holds accepted connections until the server serves them.
 *
 * Connections that arrive before that wait, unread: a daemon that listens will answer.
 * Beyond a number that no start leaves waiting they are closed.
 */
import type * as net from "node:net"

/** What Node buffers of each direction of a connection; its default of 64 KiB is too much for thousands. */
const highWaterMark = 16 * 1024

/** Accepts connections unread, and keeps them open for the reply to a half-closed client. */
export const serverOptions = { allowHalfOpen: true, pauseOnConnect: true, highWaterMark } as const

/** As many as the backlog of the socket. */
const maxPending = 1024

export class PendingConnections {
  private waiting: Array<net.Socket> = []
  private handle: ((connection: net.Socket) => void) | undefined

  /** Listens to the `connection` event of the server. */
  readonly accept = (connection: net.Socket): void => {
    connection.on("error", () => undefined)
    if (this.handle !== undefined) return this.handle(connection)
    if (this.waiting.length < maxPending) this.waiting.push(connection)
    else connection.destroy()
  }

  /** Serves connections from here on, the waiting ones first. */
  serve(handle: (connection: net.Socket) => void): void {
    this.handle = handle
    const waiting = this.waiting
    this.waiting = []
    for (const connection of waiting) handle(connection)
  }

  /** Makes connections wait from here on. */
  pause(): void {
    this.handle = undefined
  }

  /** Closes the connections that wait. */
  end(): void {
    for (const connection of this.waiting) connection.destroy()
    this.waiting = []
  }
}
