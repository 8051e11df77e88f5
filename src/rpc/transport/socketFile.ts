/**
 * The socket's file: created under a private name, renamed into its place, and watched.
 *
 * It appears only when it listens and has its mode. Node unlinks the name that it bound, so
 * it never unlinks a foreign file. A foreign file is not replaced, except if another process
 * creates it in the microseconds between the check and the rename.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import type * as net from "node:net"
import * as path from "node:path"
import { promisify } from "node:util"
import { privateSocketName, type SocketAccess } from "../../domain/ListenSocket.ts"
import { systemErrorText } from "../../domain/systemError.ts"

export class SocketFileError extends Data.TaggedError("SocketFileError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message() {
    return `cannot create the socket at ${this.path}: ${this.reason}`
  }
}

/** What a socket's file is known by. */
export interface SocketIdentity {
  readonly dev: number
  readonly ino: number
}

/** A socket in its place, and the identity of its file. */
export interface SocketFile extends SocketIdentity {
  readonly server: net.Server
}

/** Connections that wait while the daemon is busy. */
export const backlog = 1024

/** Listens at the path. The socket is its owner's alone until `access` opens it to a group. */
export const bindSocket = Effect.fnUntraced(function* (server: net.Server, at: string, access: SocketAccess) {
  const name = yield* clearPrivateName(at)
  yield* listen(server, name, at)
  const identity = yield* placeSocketFile(at, access).pipe(
    Effect.tapError(() => Effect.sync(() => void server.close()))
  )
  return { server, ...identity } satisfies SocketFile
})

/** Returns the name under which a socket listens before it is in its place. Nothing has it. */
export const clearPrivateName = (at: string) =>
  step(at, () => {
    const name = privateSocketName(at)
    checkDirectory(path.dirname(at))
    removeSocket(name)
    return name
  })

/** Gives a socket that listens under its private name its access and its place. */
export const placeSocketFile = Effect.fnUntraced(function* (at: string, access: SocketAccess) {
  const name = privateSocketName(at)
  if (access.mode === 0o660) yield* openToGroup(name, at, access.group)
  return yield* step(at, (): SocketIdentity => {
    const { dev, ino } = fs.lstatSync(name)
    if (fs.lstatSync(at, { throwIfNoEntry: false }) !== undefined) throw new Error("another file is there")
    fs.renameSync(name, at)
    return { dev, ino }
  })
})

/** Returns what is at the path: this socket, nothing, or another file. */
export const inspectSocket = (at: string, { dev, ino }: SocketIdentity) =>
  // Synchronously: the thread pool would take ten times as long, and this runs all day.
  Effect.try({
    try: () => fs.lstatSync(at),
    catch: (cause) => cause
  }).pipe(
    Effect.match({
      onSuccess: (found) => (found.dev === dev && found.ino === ino ? "ours" : "taken"),
      onFailure: (cause) => (codeOf(cause) === "ENOENT" ? "free" : "taken")
    })
  )

/** Stops accepting and removes the file if it is this socket's. */
export const unlinkSocket = (at: string, socket: SocketFile): void => {
  socket.server.close()
  removeSocketFile(at, socket)
}

/** Removes the file of a socket if it is still that file. */
export const removeSocketFile = (at: string, { dev, ino }: SocketIdentity): void => {
  const found = fs.lstatSync(at, { throwIfNoEntry: false })
  if (found !== undefined && found.dev === dev && found.ino === ino) fs.rmSync(at, { force: true })
}

/** Rejects a directory that others can write to, who could put a socket of their own there. */
const checkDirectory = (directory: string): void => {
  if ((fs.statSync(directory).mode & 0o022) !== 0) throw new Error(`${directory} can be written by others`)
}

/** Removes the socket that a process left behind if it died before the rename. */
const removeSocket = (name: string): void => {
  if (fs.lstatSync(name, { throwIfNoEntry: false })?.isSocket() === true) fs.rmSync(name, { force: true })
}

const listen = (server: net.Server, name: string, at: string) =>
  Effect.callback<void, SocketFileError>((resume) => {
    const fail = (cause: Error) =>
      resume(Effect.fail(new SocketFileError({ path: at, reason: systemErrorText(cause) })))
    server.once("error", fail)
    // bind(2) happens within listen(), so this mask makes the socket 0600 from birth.
    const mask = process.umask(0o177)
    try {
      server.listen({ path: name, backlog }, () => {
        server.off("error", fail)
        server.on("error", () => undefined)
        resume(Effect.void)
      })
    } finally {
      process.umask(mask)
    }
  })

/** Runs chgrp, because Node cannot look up a group by its name. */
const openToGroup = (name: string, at: string, group: string) =>
  Effect.tryPromise({
    try: async () => {
      await execFile("chgrp", ["--", group, name], { env: { PATH: "/usr/bin:/bin" } })
      await fs.promises.chmod(name, 0o660)
    },
    catch: () =>
      new SocketFileError({
        path: at,
        reason: `cannot give it to the group ${group}: the group must exist, and you must be a member of it`
      })
  })

const execFile = promisify(childProcess.execFile)

const step = <A>(at: string, look: () => A) =>
  Effect.try({
    try: look,
    catch: (cause) =>
      new SocketFileError({ path: at, reason: cause instanceof Error ? systemErrorText(cause) : String(cause) })
  })

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

/** Restores the socket within five seconds; waking the process costs more than the check. */
const interval = Duration.seconds(4)

/** Watches the socket file and restores it if it is gone; `place` gets the new socket. Never replaces a foreign file. */
export const watchSocket = <E, R>(
  path: string,
  place: { socket: SocketFile },
  bind: () => Effect.Effect<SocketFile, SocketFileError>,
  onRestored: Effect.Effect<void, E, R>
) =>
  Effect.gen(function* () {
    let lastWarning = ""
    const warnOnce = (message: string) =>
      message === lastWarning
        ? Effect.void
        : Effect.andThen(
            Effect.sync(() => (lastWarning = message)),
            Effect.logWarning(message)
          )

    const restore = Effect.gen(function* () {
      const socket = yield* bind()
      place.socket.server.close()
      place.socket = socket
      yield* warnOnce(`the socket file ${path} was gone; it is restored`)
      lastWarning = ""
      yield* Effect.ignore(onRestored)
    }).pipe(
      Effect.uninterruptible,
      Effect.catchTag("SocketFileError", (error) => warnOnce(`the socket file ${path} is gone: ${error.message}`))
    )

    while (true) {
      yield* Effect.sleep(interval)
      const owner = yield* inspectSocket(path, place.socket)
      if (owner === "free") yield* restore
      else if (owner === "taken") {
        yield* warnOnce(`${path} is not this daemon's socket; remove it and the socket will be restored`)
      } else if (lastWarning !== "") {
        yield* Effect.logInfo(`the socket file ${path} is in its place again`)
        lastWarning = ""
      }
    }
  })

/** Watches the file of an activated socket and logs its loss and return; the supervisor restores it. */
export const watchActivatedSocket = Effect.fnUntraced(function* (path: string) {
  let wasThere = true
  while (true) {
    yield* Effect.sleep(interval)
    const isThere = isSocket(path)
    if (isThere === wasThere) continue
    wasThere = isThere
    yield* isThere
      ? Effect.logInfo(`the socket file ${path} is in its place again`)
      : Effect.logWarning(`the socket file ${path} is gone; restart the socket unit of the supervisor to restore it`)
  }
})

const isSocket = (path: string): boolean => {
  try {
    return fs.lstatSync(path).isSocket()
  } catch {
    return false
  }
}
