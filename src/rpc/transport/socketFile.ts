/**
 * The socket's file: made under a private name and put in its place by renaming.
 *
 * So it is there only when it listens and has its mode, and so Node, which at the
 * end unlinks the name it was bound to, never unlinks what somebody else put in
 * the place. Nothing is ever replaced: the place is looked at and taken in one
 * go, and only another process can come in between, for some microseconds.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import type * as net from "node:net"
import * as path from "node:path"
import { promisify } from "node:util"
import type { SocketAccess } from "../../domain/Config.ts"

/** The socket cannot be put in its place. */
export class SocketFileError extends Data.TaggedError("SocketFileError")<{
  readonly path: string
  readonly reason: string
}> {
  override get message() {
    return `the socket cannot be put at ${this.path}: ${this.reason}`
  }
}

/** A socket that is in its place, with what it takes to know it again. */
export interface SocketFile {
  readonly server: net.Server
  readonly dev: number
  readonly ino: number
}

/** Connections that wait while the daemon is busy. */
export const backlog = 1024

/** Listens at the path; `access` opens the socket to a group as well, until then it is its owner's alone. */
export const bindSocket = Effect.fnUntraced(function* (server: net.Server, at: string, access: SocketAccess) {
  const name = privateName(at)
  yield* step(at, () => checkDirectory(path.dirname(at)))
  yield* step(at, () => removeSocket(name))
  yield* listen(server, name, at)
  return yield* Effect.gen(function* () {
    if (access.mode === 0o660) yield* openToGroup(name, at, access.group)
    return yield* step(at, (): SocketFile => {
      const { dev, ino } = fs.lstatSync(name)
      if (fs.lstatSync(at, { throwIfNoEntry: false }) !== undefined) throw new Error("something else is there")
      fs.renameSync(name, at)
      return { server, dev, ino }
    })
  }).pipe(Effect.tapError(() => Effect.sync(() => void server.close())))
})

/** Who has the place: this socket, nobody, or something else. */
export const inspectSocket = (at: string, { dev, ino }: SocketFile) =>
  // At once: by way of another thread it takes ten times as long, and is done all day.
  Effect.try({
    try: () => fs.lstatSync(at),
    catch: (cause) => cause
  }).pipe(
    Effect.match({
      onSuccess: (found) => (found.dev === dev && found.ino === ino ? "ours" : "taken"),
      onFailure: (cause) => (codeOf(cause) === "ENOENT" ? "free" : "taken")
    })
  )

/** Takes no connection any more and removes the file, if it is this socket's. */
export const unlinkSocket = (at: string, { server, dev, ino }: SocketFile): void => {
  server.close()
  const found = fs.lstatSync(at, { throwIfNoEntry: false })
  if (found !== undefined && found.dev === dev && found.ino === ino) fs.rmSync(at, { force: true })
}

/** As long as the path, which just fits into a socket address; no two paths of a directory that are in use share it. */
const privateName = (at: string): string => `${at.slice(0, -1)}${at.endsWith("~") ? "-" : "~"}`

/** Anyone who may write there could put a socket of their own in our place. */
const checkDirectory = (directory: string): void => {
  if ((fs.statSync(directory).mode & 0o022) !== 0) throw new Error(`${directory} can be written by others`)
}

/** A process that died before it had renamed its socket left it behind. */
const removeSocket = (name: string): void => {
  if (fs.lstatSync(name, { throwIfNoEntry: false })?.isSocket() === true) fs.rmSync(name, { force: true })
}

const listen = (server: net.Server, name: string, at: string) =>
  Effect.callback<void, SocketFileError>((resume) => {
    const fail = (cause: Error) => resume(Effect.fail(new SocketFileError({ path: at, reason: cause.message })))
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

/** Node cannot look a group up by its name; chgrp can. */
const openToGroup = (name: string, at: string, group: string) =>
  Effect.tryPromise({
    try: async () => {
      await execFile("chgrp", ["--", group, name], { env: { PATH: "/usr/bin:/bin" } })
      await fs.promises.chmod(name, 0o660)
    },
    catch: () =>
      new SocketFileError({
        path: at,
        reason: `the group ${group} cannot be given to ${at}; is there such a group, and are you in it?`
      })
  })

const execFile = promisify(childProcess.execFile)

const step = <A>(at: string, look: () => A) =>
  Effect.try({
    try: look,
    catch: (cause) => new SocketFileError({ path: at, reason: cause instanceof Error ? cause.message : String(cause) })
  })

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
