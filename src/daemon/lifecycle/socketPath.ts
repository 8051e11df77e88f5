/**
 * The place of the socket: free, left over from a dead daemon, or not ours to take.
 *
 * Only a socket of this user that refuses connections is left over; it is removed
 * at once. A socket that answers, or might, and anything that is not a socket is
 * refused and left alone. Two starts for one socket from different directories are
 * kept apart by a lock beside it, PATH.lock. What remains: the predecessor knows no
 * lock, and may bind between the look and ours.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import { attemptSync } from "../files/durableFile.ts"
import { holdLock } from "../files/fileLock.ts"
import { makeDirectory } from "../files/makeDirectory.ts"
import { findListener } from "../files/findOwner.ts"
import { StartError } from "../files/StartError.ts"

/** What fits into a socket address everywhere: macOS has 104 bytes, with the zero at the end. */
const longest = 103

/**
 * Makes the place free, with its directory, and holds its lock for as long as the scope lasts; tells whether a dead
 * daemon's socket was there. What is at the place of a socket that was `activated` is not looked at: the supervisor's.
 */
export const claimSocketPath = Effect.fn("claimSocketPath")(function* (socketPath: string, activated = false) {
  const length = Buffer.byteLength(socketPath)
  if (length > longest) {
    return yield* refuse(
      `the socket path ${socketPath} is ${length} bytes long, longer than the ${longest} bytes a socket address holds`,
      "Choose a shorter one with --socket or socket_path.",
      exitStatus.badConfig
    )
  }
  yield* checkDirectory(path.dirname(socketPath))
  // Before the lock as well: where the answer is no, no file of ours is left behind.
  if (!activated) yield* isStale(socketPath)
  yield* Effect.catchTag(holdLock(`${socketPath}.lock`), "LockHeld", ({ owner }) => alreadyListening(socketPath, owner))
  const wasStale = !activated && (yield* isStale(socketPath))
  if (wasStale) yield* attemptSync("remove", socketPath, () => fs.rmSync(socketPath))
  return { wasStale }
})

/** Whether a dead daemon's socket is there, or nothing. Everything else is refused. */
const isStale = Effect.fnUntraced(function* (socketPath: string) {
  const found = yield* attemptSync("stat", socketPath, () => fs.lstatSync(socketPath, { throwIfNoEntry: false }))
  if (found === undefined) return false
  if (!found.isSocket()) {
    return yield* refuse(
      `${socketPath} is not a socket but ${kindOf(found)}, so it is not replaced`,
      "Move it away, or choose another path with --socket.",
      exitStatus.cannotCreate
    )
  }
  if (found.uid !== process.getuid?.()) {
    return yield* refuse(
      `${socketPath} is a socket of another user (uid ${found.uid}), so it is not replaced`,
      "Choose another path with --socket.",
      exitStatus.cannotCreate
    )
  }
  const answer = yield* probe(socketPath)
  if (answer === "ECONNREFUSED") return true
  // Its owner removed it in this moment.
  if (answer === "ENOENT") return false
  if (answer === "connected") return yield* alreadyListening(socketPath, yield* findListener(socketPath))
  return yield* refuse(
    `${socketPath} belongs to ${named(yield* findListener(socketPath))}, which does not let itself be asked (${answer})`,
    "Stop it first, or choose another path with --socket.",
    exitStatus.alreadyRunning
  )
})

const alreadyListening = (socketPath: string, owner: number | undefined) =>
  refuse(
    `another daemon is listening on ${socketPath}: ${named(owner)}`,
    "Stop it first, or choose another path with --socket.",
    exitStatus.alreadyRunning
  )

const named = (pid: number | undefined): string =>
  pid === undefined ? "a process that does not tell its pid" : `process ${pid}`

const kindOf = (found: fs.Stats): string => {
  if (found.isSymbolicLink()) return "a symbolic link"
  if (found.isDirectory()) return "a directory"
  return found.isFile() ? "a plain file" : "a device or a pipe"
}

/** Anyone who may write there could put a socket of their own in our place. */
const checkDirectory = Effect.fnUntraced(function* (directory: string) {
  yield* makeDirectory(directory)
  const { mode } = yield* attemptSync("stat", directory, () => fs.statSync(directory))
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
