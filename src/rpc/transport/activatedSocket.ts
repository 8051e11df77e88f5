/**
 * The socket of socket activation: a listening socket from systemd.
 *
 * The supervisor keeps it open, so clients wait for the next daemon while none runs. Its file
 * is never unlinked or restored here. The socket is checked first and accepts last, so that
 * a failed start leaves its clients waiting.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import type { ListenSocket, SocketAccess } from "../../domain/ListenSocket.ts"
import { StartError } from "../../daemon/files/fileLock.ts"
import { PendingConnections, serverOptions } from "./Connections.ts"
import { backlog } from "./socketFile.ts"

/** A process has one: once closed it cannot be opened again. */
export class ActivatedSocket {
  readonly pending = new PendingConnections()
  private readonly server = net.createServer(serverOptions, this.pending.accept)
  private staysOpen = false
  readonly descriptor: number

  constructor(descriptor: number) {
    this.descriptor = descriptor
  }

  /** Starts to accept connections; does nothing if it does already. */
  readonly listen: Effect.Effect<void, Error> = Effect.callback((resume) => {
    this.staysOpen = false
    if (this.server.listening) return resume(Effect.void)
    const fail = (cause: Error) => resume(Effect.fail(cause))
    this.server.once("error", fail)
    this.server.listen({ fd: this.descriptor, backlog }, () => {
      this.server.off("error", fail)
      this.server.on("error", () => undefined)
      // Node has no address for an inherited Unix socket; one with a port is open to a network.
      const address = this.server.address()
      const isUnix = address === null || typeof address === "string" || address.port === undefined
      resume(isUnix ? Effect.void : Effect.fail(new Error("the socket passed by the supervisor is not a Unix socket")))
    })
  })

  /** Makes the next `close` leave it open, because this process will serve again. */
  keepOpen(): void {
    this.staysOpen = true
  }

  /** Stops accepting: new connections wait for the next process. */
  close(): void {
    if (!this.staysOpen) this.server.close()
  }
}

/** A socket of the settings. */
type Place = Pick<ListenSocket, "path" | "access">

/** Adopts the descriptors, each as the socket of the settings that it listens as; returns them by their paths. */
export const adoptActivatedSockets = Effect.fnUntraced(function* (
  descriptors: ReadonlyArray<number>,
  sockets: ReadonlyArray<Place>
) {
  const adopted = new Map<string, ActivatedSocket>()
  for (const descriptor of descriptors) {
    const [at, activated] = yield* adopt(
      descriptor,
      sockets.filter((socket) => !adopted.has(socket.path))
    )
    adopted.set(at, activated)
  }
  return adopted
})

/** Adopts the descriptor if it is a Unix socket that listens at one of the paths, with a mode that is not too open. */
const adopt = (descriptor: number, sockets: ReadonlyArray<Place>) =>
  Effect.suspend(() => {
    const found = placeOf(descriptor, sockets)
    const problem = "reason" in found ? found : tooOpen(found.path, found.access)
    if (problem === undefined && "path" in found) {
      return Effect.succeed([found.path, new ActivatedSocket(descriptor)] as const)
    }
    const { fix = "", reason = "" } = problem ?? {}
    return Effect.fail(
      new StartError({
        reason: `descriptor ${descriptor} was passed as the socket, but ${reason}`,
        fix,
        exitStatus: exitStatus.badConfig
      })
    )
  })

interface Problem {
  readonly reason: string
  readonly fix: string
}

const placeOf = (descriptor: number, places: ReadonlyArray<Place>): Place | Problem => {
  const passSocket = "Pass a listening stream socket: set ListenStream= in the socket unit."
  const found = Option.getOrUndefined(fstatNow(descriptor))
  if (found === undefined) return { reason: "it is not open", fix: passSocket }
  if (!found.isSocket()) return { reason: "it is not a socket", fix: passSocket }
  const sockets = unixSockets()
  const [first] = places
  if (first === undefined) return { reason: "every socket of the settings was passed already", fix: passSocket }
  // Without this list `listen` still rejects anything but a listening stream socket.
  if (sockets === undefined) return first
  const own = sockets.get(String(found.ino))
  if (own === undefined) return { reason: `it is not a Unix socket with a path of its own`, fix: passSocket }
  if (!own.listens) return { reason: "it does not listen", fix: passSocket }
  const place = places.find((one) => samePlace(own.path, one.path))
  return (
    place ?? {
      reason: `it listens at ${own.path} and not at ${places.map((one) => one.path).join(" or ")}`,
      fix: `Set ListenStream=${first.path} in the socket unit, or socket_path in config.json, so that both are the same`
    }
  )
}

/** Write permission is what connect(2) needs. */
const mayConnect = 0o222

/** Reports a mode as systemd's default, 0666: anyone could lease. `watchActivatedSocket` reports a missing file. */
const tooOpen = (at: string, access: SocketAccess): Problem | undefined => {
  const mode = (fs.lstatSync(at, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
  return (mode & mayConnect & ~access.mode) === 0
    ? undefined
    : {
        reason: `its mode is ${mode.toString(8)}, which lets in more than ${access.mode.toString(8)}`,
        fix: `Set SocketMode=0${access.mode.toString(8)} in the socket unit, and restart that unit`
      }
}

interface UnixSocket {
  readonly path: string
  readonly listens: boolean
}

/** Returns the named stream sockets by inode; undefined where the system does not list them. */
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

/** Compares real paths, because the directory of a path can have several names. */
const samePlace = (one: string, other: string): boolean => realPlace(one) === realPlace(other)

const realPlace = (at: string): string => {
  try {
    return path.join(fs.realpathSync(path.dirname(at)), path.basename(at))
  } catch {
    return at
  }
}

const fstatNow = Option.liftThrowable((descriptor: number) => fs.fstatSync(descriptor))
