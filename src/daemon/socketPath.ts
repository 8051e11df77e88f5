/**
 * The place of the socket: free, left over from a dead daemon, or not ours to take.
 *
 * Only a socket of this user that refuses connections is left over; it is removed
 * at once. A socket that answers, or might, and anything that is not a socket is
 * refused and left alone. The caller holds the instance lock, so no second daemon
 * of this program decides the same at the same time.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../domain/exitStatus.ts"
import { attempt } from "./durableFile.ts"
import { StartError } from "./StartError.ts"

/** What fits into a socket address everywhere: macOS has 104 bytes, with the zero at the end. */
const longest = 103

/** Makes the place free, with its directory; tells whether a dead daemon's socket was there. */
export const claimSocketPath = Effect.fn("claimSocketPath")(function* (socketPath: string) {
  if (Buffer.byteLength(socketPath) > longest) {
    return yield* refuse(
      `the socket path ${socketPath} is longer than the ${longest} bytes a socket address holds`,
      "Choose a shorter one with --socket or socket_path.",
      exitStatus.badConfig
    )
  }
  yield* checkDirectory(path.dirname(socketPath))
  const found = yield* attempt("look at", socketPath, () => fs.lstat(socketPath).catch(ignoreMissing))
  if (found === undefined) return { wasStale: false }
  if (!found.isSocket()) {
    return yield* refuse(
      `${socketPath} is not a socket, so it is not replaced`,
      "Move it away, or choose another path with --socket.",
      exitStatus.cannotCreate
    )
  }
  const answer = yield* probe(socketPath)
  if (answer !== "ECONNREFUSED") {
    return yield* refuse(
      answer === "connected"
        ? `another daemon is listening on ${socketPath}`
        : `${socketPath} belongs to something that does not let itself be asked (${answer})`,
      "Stop it first, or choose another path with --socket.",
      exitStatus.alreadyRunning
    )
  }
  yield* attempt("remove", socketPath, () => fs.rm(socketPath))
  return { wasStale: true }
})

/** Anyone who may write there could put a socket of their own in our place. */
const checkDirectory = Effect.fnUntraced(function* (directory: string) {
  yield* attempt("create", directory, () => fs.mkdir(directory, { recursive: true, mode: 0o700 }))
  const { mode } = yield* attempt("look at", directory, () => fs.stat(directory))
  if ((mode & 0o022) !== 0) {
    return yield* refuse(
      `the directory of the socket, ${directory}, can be written by others`,
      `Run chmod go-w ${directory}, or choose another path with --socket.`,
      exitStatus.cannotCreate
    )
  }
})

/** What a connection attempt says: "connected" or the name of the error. */
const probe = (socketPath: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ path: socketPath })
    socket.once("connect", () => resume(Effect.succeed("connected")))
    socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "unknown")))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed("ETIMEDOUT") }))

const refuse = (reason: string, fix: string, status: number) =>
  Effect.fail(new StartError({ reason, fix, exitStatus: status }))

const ignoreMissing = (cause: NodeJS.ErrnoException): undefined => {
  if (cause.code !== "ENOENT") throw cause
}
