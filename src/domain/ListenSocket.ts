/**
 * The sockets of a daemon: the one of socket_path, those of `sockets`, and one for its owner
 * if no other is.
 *
 * Each has a role. Their paths, and the names that the daemon makes beside them, are distinct.
 */
import * as path from "node:path"
import type { Caller, Role } from "./Caller.ts"
import { globMatcher } from "./glob.ts"
import { socketPathProblem } from "./paths.ts"

/** Who may use a socket: its owner, or a group as well. */
export type SocketAccess = { readonly mode: 0o600 } | { readonly mode: 0o660; readonly group: string }

export interface ListenSocket {
  readonly path: string
  readonly access: SocketAccess
  readonly role: Role
  /** Globs of the secrets that the roles `lease` and `use` are limited to. */
  readonly secrets: ReadonlyArray<string>
  /** What the client ids of those roles begin with. */
  readonly clientPrefix: string
}

/** The name of the owner's socket in the state directory, where the main socket is a group's. */
export const ownerSocketName = "owner.sock"

/** The name of the socket of the proxy, beside the main socket. */
export const proxySocketName = "proxy.sock"

export interface SocketSettings {
  readonly directory: string
  readonly socketPath: string
  readonly socketAccess: SocketAccess
  /** Those beside the main socket. */
  readonly otherSockets: ReadonlyArray<ListenSocket>
}

const unlimited = { secrets: [], clientPrefix: "" }

const givenSockets = ({
  otherSockets,
  socketAccess: access,
  socketPath
}: SocketSettings): ReadonlyArray<ListenSocket> => [
  { path: socketPath, access, role: access.mode === 0o600 ? "owner" : "operator", ...unlimited },
  ...otherSockets
]

/** Returns the owner's socket in the state directory; undefined if a setting has one, or if its path would be too long. */
export const ownSocket = (settings: SocketSettings): ListenSocket | undefined => {
  const at = path.join(settings.directory, ownerSocketName)
  return givenSockets(settings).some(({ role }) => role === "owner") || socketPathProblem(at) !== undefined
    ? undefined
    : { path: at, access: { mode: 0o600 }, role: "owner", ...unlimited }
}

/** Returns every socket of a daemon, the owner's first, so that it is there when another one is. */
export const socketsOf = (settings: SocketSettings): ReadonlyArray<ListenSocket> => {
  const own = ownSocket(settings)
  const all = [...(own === undefined ? [] : [own]), ...givenSockets(settings)]
  return [...all.filter(({ role }) => role === "owner"), ...all.filter(({ role }) => role !== "owner")]
}

/** Returns the caller that a socket attests. A daemon with the owner's socket alone names none in its audit log. */
export const callerOf = (socket: ListenSocket, directory: string, isAlone: boolean): Caller => {
  const globs = socket.secrets.map(globMatcher)
  const isLimited = socket.role === "lease" || socket.role === "use" || socket.role === "approve"
  const relative = path.relative(directory, socket.path)
  return {
    role: socket.role,
    socket: isAlone && socket.role === "owner" ? undefined : relative.startsWith("..") ? socket.path : relative,
    scope: isLimited
      ? { permits: (name) => globs.some((matches) => matches(name)), clientPrefix: socket.clientPrefix }
      : undefined
  }
}

/**
 * Returns the name under which a socket listens before it is renamed: as long as its path, which may just fit. Two sockets
 * may share it, so the daemon binds one at a time.
 */
export const privateSocketName = (at: string): string => `${at.slice(0, -1)}${at.endsWith("~") ? "-" : "~"}`
