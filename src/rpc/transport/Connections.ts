/**
 * The open connections, how many there may be, and the bytes that each holds.
 *
 * Beyond a limit for all of them, the connection that holds the most is closed until the
 * rest fits. Counted are the bytes that Node has read ahead, those not handled yet, and
 * those that the client has not read.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import type * as net from "node:net"
import { type Caller, owner } from "../../domain/Caller.ts"
import { connectionLimit, spareFiles } from "../protocol/limits.ts"

export interface ConnectionState {
  /** Who is at the other end, by the socket that accepted it. */
  readonly caller: Caller
  /** Records that a request of it has its reply. */
  readonly markServed: () => void
  /** Sets the bytes it holds besides Node's own buffers. */
  readonly setBuffered: (bytes: number) => void
  /** Completes when the connection is closed. */
  readonly closed: Effect.Effect<void>
  readonly isClosed: () => boolean
  /**
   * Calls back when a request that waits is over: the client has shut down its side, is gone or sends more, or the daemon
   * stops. One request of a connection waits at a time. Returns what ends that.
   */
  readonly onWaitEnd: (done: (how: WaitEnd) => void) => () => void
  /** Whether so many bytes can be written without waiting for the client to read. */
  readonly hasRoom: (bytes: number) => boolean
  /** Completes when the daemon stops; nothing new begins after that. */
  readonly stopping: Effect.Effect<void>
}

/** What ends a wait before its time. */
export type WaitEnd = "client left" | "stopping"

/** The state of the connection being served; the default, for sockets of tests, counts nothing. */
export const ConnectionState = Context.Reference<ConnectionState>("agent-secrets/rpc/ConnectionState", {
  defaultValue: () => ({
    caller: owner,
    markServed: () => undefined,
    setBuffered: () => undefined,
    closed: Effect.never,
    isClosed: () => false,
    onWaitEnd: () => () => undefined,
    hasRoom: () => false,
    stopping: Effect.never
  })
})

interface Entry {
  readonly connection: net.Socket
  buffered: number
  counted: number
  /** Whether Node has read the end of the input, which nobody else has read yet. */
  hasEnded: boolean
  /** Ends the request that waits; undefined if none does. */
  endWait: ((how: WaitEnd) => void) | undefined
}

export class Connections {
  private readonly entries = new Map<net.Socket, Entry>()
  /** Accepted connections that have had no reply yet. */
  private readonly unserved = new Set<net.Socket>()
  private readonly allServedWaiters = new Set<() => void>()
  private total = 0
  private readonly limit: number
  private readonly lastReply: string

  private readonly stopping: Effect.Effect<void>
  private isStopping = false

  /** `limit` is in bytes. A connection that is closed for it is sent `lastReply` if nothing is queued before that. */
  constructor(limit: number, lastReply: string, stopping: Effect.Effect<void> = Effect.never) {
    this.stopping = stopping
    this.limit = limit
    this.lastReply = lastReply
  }

  get size(): number {
    return this.entries.size
  }

  /** Counts the connection until `remove`. */
  add(connection: net.Socket, caller: Caller = owner): ConnectionState {
    const entry: Entry = { connection, buffered: 0, counted: 0, hasEnded: false, endWait: undefined }
    this.entries.set(connection, entry)
    this.unserved.add(connection)
    // Node reads ahead while a request is at work.
    connection.on("readable", () => {
      entry.hasEnded = connection.readableLength === 0
      this.count(entry)
      leave()
    })
    // Nobody reads from it while its request is at work, so "close" may not come. But Node has read ahead then.
    const leave = () => entry.endWait?.("client left")
    connection.once("end", leave)
    connection.once("close", leave)
    return {
      caller,
      markServed: () => this.serve(connection),
      setBuffered: (bytes) => {
        entry.buffered = bytes
        this.count(entry)
      },
      closed: closing(connection),
      isClosed: () => connection.destroyed,
      onWaitEnd: (done) => {
        if (this.isStopping) done("stopping")
        else if (hasLeft(entry)) done("client left")
        else entry.endWait = done
        return () => void (entry.endWait = undefined)
      },
      hasRoom: (bytes) => connection.writableLength + bytes < connection.writableHighWaterMark,
      stopping: this.stopping
    }
  }

  /** Completes when every connection has had a reply or is closed. */
  readonly allServed: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.unserved.size === 0) return resume(Effect.void)
    const done = () => resume(Effect.void)
    this.allServedWaiters.add(done)
    return Effect.sync(() => void this.allServedWaiters.delete(done))
  })

  private serve(connection: net.Socket): void {
    if (!this.unserved.delete(connection) || this.unserved.size > 0) return
    for (const done of this.allServedWaiters) done()
    this.allServedWaiters.clear()
  }

  /** Ends all requests that wait, now and later. */
  endWaits(): void {
    this.isStopping = true
    for (const { endWait } of this.entries.values()) endWait?.("stopping")
  }

  remove(connection: net.Socket): void {
    this.serve(connection)
    const entry = this.entries.get(connection)
    if (entry === undefined) return
    this.entries.delete(connection)
    this.total -= entry.counted
  }

  destroyAll(): void {
    for (const connection of this.entries.keys()) cutOff(connection, "the daemon stops")
  }

  private count(entry: Entry): void {
    if (!this.entries.has(entry.connection)) return
    this.recount(entry)
    while (this.total > this.limit && this.closeLargest());
  }

  private recount(entry: Entry): void {
    const { connection, buffered, counted } = entry
    entry.counted = connection.destroyed ? 0 : buffered + connection.readableLength + connection.writableLength
    this.total += entry.counted - counted
  }

  private closeLargest(): boolean {
    let largest: Entry | undefined
    for (const entry of this.entries.values()) {
      this.recount(entry)
      if (entry.counted > (largest?.counted ?? 0)) largest = entry
    }
    if (largest === undefined) return false
    const { connection } = largest
    if (connection.writableLength === 0) connection.write(this.lastReply)
    cutOff(connection, "too much memory")
    this.recount(largest)
    return true
  }
}

/** Closes a connection at once; without an error its unfinished line would count as the last one of the client. */
const cutOff = (connection: net.Socket, reason: string): void => void connection.destroy(new Error(reason))

const closing = (connection: net.Socket) =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    if (connection.closed) return done()
    connection.once("close", done)
    return Effect.sync(() => void connection.off("close", done))
  })

/** Returns whether a connection has ended, or has more input. */
const hasLeft = ({ connection, hasEnded }: Entry): boolean =>
  hasEnded || connection.readableEnded || connection.readableLength > 0 || connection.destroyed

/** Returns what the limit of open files leaves. Call it when the daemon has opened everything but connections. */
export const maxConnections = (): number => {
  const files = maxFiles()
  if (files === undefined) return connectionLimit
  const left = files - openFiles() - Math.min(spareFiles, Math.floor(files / 8))
  return Math.max(1, Math.min(connectionLimit, left))
}

/** Returns undefined if there is no limit. Node's report has the limit as well, but takes longer to make. */
export const maxFiles = (limits = readLimits): number | undefined => {
  try {
    const [, soft] = /^Max open files +(\d+) /m.exec(limits()) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    // Otherwise Node lists the network interfaces, and looks up the host names of connections. Its types lack it.
    Object.assign(process.report, { excludeNetwork: true })
    const report = decodeReport(process.report.getReport())
    const files = Option.isSome(report) ? report.value.userLimits.open_files.soft : undefined
    return typeof files === "number" ? files : undefined
  }
}

const readLimits = (): string => fs.readFileSync("/proc/self/limits", "latin1")

const openFiles = (): number => {
  try {
    return fs.readdirSync("/dev/fd").length
  } catch {
    return spareFiles
  }
}

const decodeReport = Schema.decodeUnknownOption(
  Schema.Struct({
    userLimits: Schema.Struct({ open_files: Schema.Struct({ soft: Schema.Union([Schema.Number, Schema.String]) }) })
  })
)

/** What Node buffers of each direction of a connection; its default of 64 KiB is too much for thousands. */
const highWaterMark = 16 * 1024

/** Accepts connections unread, and keeps them open for the reply to a half-closed client. */
export const serverOptions = { allowHalfOpen: true, pauseOnConnect: true, highWaterMark } as const

/** As many as the backlog of the socket; further ones are closed. */
const maxPending = 1024

/** Holds accepted connections, unread, until the server serves them. */
export class PendingConnections {
  private waiting: Array<net.Socket> = []
  private handle: ((connection: net.Socket) => void) | undefined
  /** How many were accepted in all. */
  accepted = 0

  /** Listens to the `connection` event of the server. */
  readonly accept = (connection: net.Socket): void => {
    this.accepted += 1
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
