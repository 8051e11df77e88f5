/**
 * A listening socket that the supervisor made and hands over: systemd's socket
 * activation, or launchd's `inetdCompatibility`.
 *
 * The supervisor keeps it, so clients that come while no daemon runs wait for the
 * next one and are not refused. The path and its file are the supervisor's: nothing
 * is unlinked, renamed or put back here. Node closes it in the processes we start.
 * It is checked before anything is read, and listened on when all else is open, so
 * that what a start that fails leaves behind still waits.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import type { SocketAccess } from "../../domain/Config.ts"
import { StartError } from "../../daemon/files/StartError.ts"
import { PendingConnections, serverOptions } from "./PendingConnections.ts"
import { backlog } from "./socketFile.ts"

/** One for a process: to close it is to have no more of it. */
export class ActivatedSocket {
  readonly arrivals = new PendingConnections()
  private readonly server = net.createServer(serverOptions, this.arrivals.accept)
  private goesOn = false
  readonly descriptor: number

  constructor(descriptor: number) {
    this.descriptor = descriptor
  }

  /** Connections are taken from here on. A listener that listens already goes on. */
  readonly listen: Effect.Effect<void, Error> = Effect.callback((resume) => {
    this.goesOn = false
    if (this.server.listening) return resume(Effect.void)
    const fail = (cause: Error) => resume(Effect.fail(cause))
    this.server.once("error", fail)
    this.server.listen({ fd: this.descriptor, backlog }, () => {
      this.server.off("error", fail)
      this.server.on("error", () => undefined)
      // Of a Unix socket that was handed over no address is known; one with a port is open to a network.
      const address = this.server.address()
      const isUnix = address === null || typeof address === "string" || address.port === undefined
      resume(isUnix ? Effect.void : Effect.fail(new Error("the socket that was handed over is no Unix socket")))
    })
  })

  /** This process will serve again after the next `close`, which leaves it open then. */
  keepOpen(): void {
    this.goesOn = true
  }

  /** Takes no more connections: those that come wait for the next process. */
  close(): void {
    if (!this.goesOn) this.server.close()
  }
}

/** The listener with that descriptor, if it is one: a Unix socket that listens at the path and lets in nobody else. */
export const adoptActivatedSocket = (descriptor: number, at: string, access: SocketAccess) =>
  Effect.suspend(() => {
    const problem = problemWith(descriptor, at) ?? tooOpen(at, access)
    if (problem === undefined) return Effect.succeed(new ActivatedSocket(descriptor))
    const { fix, reason } = problem
    return Effect.fail(
      new StartError({
        reason: `descriptor ${descriptor} was handed over as the socket, but ${reason}`,
        fix,
        exitStatus: exitStatus.badConfig
      })
    )
  })

interface Problem {
  readonly reason: string
  readonly fix: string
}

const problemWith = (descriptor: number, at: string): Problem | undefined => {
  const handOver = "Have the supervisor hand over a listening stream socket there: ListenStream= in the socket unit."
  const found = fstatNow(descriptor)
  if (found === undefined) return { reason: "it is not open", fix: handOver }
  if (!found.isSocket()) return { reason: "it is not a socket", fix: handOver }
  const sockets = unixSockets()
  // Where the system does not tell, `listen` still refuses what is no listening stream socket.
  if (sockets === undefined) return undefined
  const own = sockets.get(String(found.ino))
  if (own === undefined) return { reason: `it is not a Unix socket with a path of its own`, fix: handOver }
  if (!own.listens) return { reason: "it does not listen", fix: handOver }
  return samePlace(own.path, at)
    ? undefined
    : {
        reason: `it listens at ${own.path} and not at ${at}`,
        fix: `Set ListenStream=${at} in the socket unit, or socket_path in config.json, so that both are the same.`
      }
}

/** Who may write to it may connect. */
const mayConnect = 0o222

/** systemd's own SocketMode is 0666: anyone on the machine could lease. A missing file lets nobody in; the watch tells of it. */
const tooOpen = (at: string, access: SocketAccess): Problem | undefined => {
  const mode = (fs.lstatSync(at, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
  return (mode & mayConnect & ~access.mode) === 0
    ? undefined
    : {
        reason: `its mode is ${mode.toString(8)}, which lets in more than ${access.mode.toString(8)}`,
        fix: `Set SocketMode=0${access.mode.toString(8)} in the socket unit, and restart that unit.`
      }
}

interface UnixSocket {
  readonly path: string
  readonly listens: boolean
}

/** The stream sockets that have a name, by their numbers; undefined where the system does not tell. */
const unixSockets = (): ReadonlyMap<string, UnixSocket> | undefined => {
  try {
    return new Map(
      fs
        .readFileSync("/proc/net/unix", "utf8")
        .split("\n")
        .flatMap((line): ReadonlyArray<[string, UnixSocket]> => {
          const [, flags, inode, name] = /^\S+ \S+ \S+ (\w+) 0001 \S+ +(\d+) (.+)$/.exec(line) ?? []
          return inode === undefined || name === undefined
            ? []
            : [[inode, { path: name, listens: flags === "00010000" }]]
        })
    )
  } catch {
    return undefined
  }
}

/** A directory may have several names. */
const samePlace = (one: string, other: string): boolean => realPlace(one) === realPlace(other)

const realPlace = (at: string): string => {
  try {
    return path.join(fs.realpathSync(path.dirname(at)), path.basename(at))
  } catch {
    return at
  }
}

const fstatNow = (descriptor: number): fs.Stats | undefined => {
  try {
    return fs.fstatSync(descriptor)
  } catch {
    return undefined
  }
}
