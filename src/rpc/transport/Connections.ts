/**
 * The connections there are, and the bytes they hold in this process.
 *
 * All together hold no more than a limit. Beyond it the connection that holds the
 * most is cut off, again and again until the rest fits: whoever holds little is
 * never reached before those who hold much. What is counted is what Node has read
 * ahead, what has not been worked off, and what the client has not taken.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as net from "node:net"

/** What one connection holds, and whether it is there at all. */
export interface ConnectionState {
  /** Tells that something it asked was answered. */
  readonly markServed: () => void
  /** Tells the bytes it holds beside Node's own buffers, in place of what was told before. */
  readonly setBuffered: (bytes: number) => void
  /** Done when the connection is closed. */
  readonly closed: Effect.Effect<void>
  readonly isClosed: () => boolean
  /** Whether so many more bytes can be written without waiting for the client to take any. */
  readonly hasRoom: (bytes: number) => boolean
  /** Done when the daemon stops: what has not begun by then is not begun any more. */
  readonly stopping: Effect.Effect<void>
}

/** The account of the connection being served; for a socket that is nobody's connection it counts nothing. */
export const ConnectionState = Context.Reference<ConnectionState>("agent-secrets/rpc/Account", {
  defaultValue: () => ({
    markServed: () => undefined,
    setBuffered: () => undefined,
    closed: Effect.never,
    isClosed: () => false,
    hasRoom: () => false,
    stopping: Effect.never
  })
})

interface Entry {
  readonly connection: net.Socket
  told: number
  counted: number
}

export class Connections {
  private readonly entries = new Map<net.Socket, Entry>()
  /** Those that were let in and have had no answer yet. */
  private readonly unheard = new Set<net.Socket>()
  private readonly noneUnheard = new Set<() => void>()
  private total = 0
  private readonly limit: number
  private readonly farewell: string

  private readonly stopping: Effect.Effect<void>

  /** `limit` in bytes; whoever is cut off is sent `farewell` if there is nothing in its way. */
  constructor(limit: number, farewell: string, stopping: Effect.Effect<void> = Effect.never) {
    this.stopping = stopping
    this.limit = limit
    this.farewell = farewell
  }

  get size(): number {
    return this.entries.size
  }

  /** Counts the connection until `remove`. */
  add(connection: net.Socket): ConnectionState {
    const entry = { connection, told: 0, counted: 0 }
    this.entries.set(connection, entry)
    this.unheard.add(connection)
    // Node reads ahead while a request is at work; nobody else would tell.
    connection.on("readable", () => this.count(entry))
    return {
      markServed: () => this.heard(connection),
      setBuffered: (bytes) => {
        entry.told = bytes
        this.count(entry)
      },
      closed: closing(connection),
      isClosed: () => connection.destroyed,
      hasRoom: (bytes) => connection.writableLength + bytes < connection.writableHighWaterMark,
      stopping: this.stopping
    }
  }

  /** Done when every connection there is has been answered once, or is gone. */
  readonly allServed: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.unheard.size === 0) return resume(Effect.void)
    const done = () => resume(Effect.void)
    this.noneUnheard.add(done)
    return Effect.sync(() => void this.noneUnheard.delete(done))
  })

  private heard(connection: net.Socket): void {
    if (!this.unheard.delete(connection) || this.unheard.size > 0) return
    for (const done of this.noneUnheard) done()
    this.noneUnheard.clear()
  }

  remove(connection: net.Socket): void {
    this.heard(connection)
    const entry = this.entries.get(connection)
    if (entry === undefined) return
    this.entries.delete(connection)
    this.total -= entry.counted
  }

  destroyAll(): void {
    for (const connection of this.entries.keys()) connection.destroy()
  }

  private count(entry: Entry): void {
    if (!this.entries.has(entry.connection)) return
    this.recount(entry)
    while (this.total > this.limit && this.cutOffLargest());
  }

  private recount(entry: Entry): void {
    const { connection, told, counted } = entry
    entry.counted = connection.destroyed ? 0 : told + connection.readableLength + connection.writableLength
    this.total += entry.counted - counted
  }

  private cutOffLargest(): boolean {
    let largest: Entry | undefined
    for (const entry of this.entries.values()) {
      this.recount(entry)
      if (entry.counted > (largest?.counted ?? 0)) largest = entry
    }
    if (largest === undefined) return false
    const { connection } = largest
    if (connection.writableLength === 0) connection.write(this.farewell)
    // An error, or the line that is cut short would count as the client's last one.
    connection.destroy(new Error("cut off"))
    this.recount(largest)
    return true
  }
}

const closing = (connection: net.Socket) =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    if (connection.closed) return done()
    connection.once("close", done)
    return Effect.sync(() => void connection.off("close", done))
  })
