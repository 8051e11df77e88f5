/**
 * The sockets of the worker: one beside each socket of the daemon, with the same mode and group, so
 * that who may ask the daemon may use the proxy. The worker listens, and the daemon puts the files
 * into their places and removes them.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { callerOf, type ListenSocket, proxySocketName, type SocketAccess } from "../../domain/ListenSocket.ts"
import {
  clearPrivateName,
  type SocketIdentity,
  inspectSocket,
  placeSocketFile,
  removeSocketFile
} from "../../rpc/transport/socketFile.ts"
import { claimSocketPath } from "../lifecycle/socketPath.ts"
import { ProxyUnavailable } from "./WorkerProcess.ts"

export interface ProxySocket {
  readonly path: string
  readonly access: SocketAccess
  /** What the audit log calls the daemon's socket beside it. */
  readonly caller: string | undefined
}

/** Returns the sockets of the worker, that of the main socket first. */
export const proxySocketsOf = (
  sockets: ReadonlyArray<ListenSocket>,
  mainPath: string,
  directory: string
): ReadonlyArray<ProxySocket> =>
  sockets
    .map((socket) => ({
      path: proxySocketPath(socket.path, socket.path === mainPath),
      access: socket.access,
      caller: callerOf(socket, directory, sockets.length === 1).socket
    }))
    .toSorted(
      (a, b) => Number(b.path === proxySocketPath(mainPath, true)) - Number(a.path === proxySocketPath(mainPath, true))
    )

const proxySocketPath = (at: string, isMain: boolean): string =>
  path.join(path.dirname(at), isMain ? proxySocketName : `${path.basename(at).replace(/\.sock$/, "")}-proxy.sock`)

const unavailable = ({ message }: { readonly message: string }) => new ProxyUnavailable({ reason: message })

/** Claims the paths until the scope closes, and removes what a killed worker left there. */
export const claimProxySockets = (sockets: ReadonlyArray<ProxySocket>) =>
  Effect.mapError(
    Effect.forEach(sockets, (socket) => claimSocketPath(socket.path), { discard: true }),
    unavailable
  )

/** Where the socket files are, by their paths. */
export type PlacedSockets = Map<string, SocketIdentity>

/** Makes the worker listen, and puts its sockets into their places. `listen` completes when it listens on these names. */
export const placeProxySockets = Effect.fnUntraced(function* (
  sockets: ReadonlyArray<ProxySocket>,
  placed: PlacedSockets,
  listen: (names: ReadonlyArray<string>) => Effect.Effect<void, ProxyUnavailable>
) {
  const names = yield* Effect.mapError(
    Effect.forEach(sockets, (socket) => clearPrivateName(socket.path)),
    unavailable
  )
  yield* listen(names)
  for (const { access, path: at } of sockets) {
    const before = placed.get(at)
    if (before !== undefined) removeSocketFile(at, before)
    placed.set(at, yield* Effect.mapError(placeSocketFile(at, access), unavailable))
  }
})

/** Returns whether every socket file is still in its place. */
export const areInPlace = (sockets: ReadonlyArray<ProxySocket>, placed: PlacedSockets): Effect.Effect<boolean> =>
  Effect.map(
    Effect.forEach(sockets, ({ path: at }) => {
      const identity = placed.get(at)
      return identity === undefined ? Effect.succeed("free") : inspectSocket(at, identity)
    }),
    (states) => states.every((state) => state === "ours")
  )

/** Removes the socket files that are still the worker's. */
export const removeProxySockets = (placed: PlacedSockets): void => {
  for (const [at, identity] of placed) removeSocketFile(at, identity)
  placed.clear()
}
