/**
 * Claims the socket path, if it is free or has the socket of a dead daemon.
 *
 * Only a socket of this user that refuses connections is removed; anything else prevents the
 * start. PATH.lock separates two daemons with different directories. The predecessor takes no
 * lock, so it can still bind between the check and ours.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import { socketPathProblem } from "../../domain/paths.ts"
import { modeHint } from "../../process/pathOwners.ts"
import { attemptSync } from "../files/durableFile.ts"
import { findListener, holdLock, StartError } from "../files/fileLock.ts"
import { makeDirectory } from "../files/pinDirectory.ts"

/**
 * Locks the path until the scope closes, and removes a dead daemon's socket; returns whether there was one. A socket that
 * was `activated` belongs to the supervisor and is not checked.
 */
export const claimSocketPath = Effect.fn("claimSocketPath")(function* (socketPath: string, activated = false) {
  const problem = socketPathProblem(socketPath)
  if (problem !== undefined) {
    return yield* reject(problem, "Choose a shorter path with --socket or socket_path", exitStatus.badConfig)
  }
  yield* checkDirectory(path.dirname(socketPath))
  // Checked before the lock too, so that a rejected start leaves no lock file.
  if (!activated) yield* isStale(socketPath, 1)
  const lock = `${socketPath}.lock`
  yield* Effect.catchTag(holdLock(lock), "LockHeld", ({ owner }) =>
    alreadyListening(socketPath, owner, owner === undefined ? `, or the file system of ${lock} cannot lock files` : "")
  )
  const wasStale = !activated && (yield* isStale(socketPath, refusalsOfStale))
  if (wasStale) yield* attemptSync("remove", socketPath, () => fs.rmSync(socketPath))
  return { wasStale }
})

/** macOS refuses a connection also where too many wait, so one refusal does not mean that nobody listens. */
const refusalsOfStale = 3
const refusalInterval = "100 millis"

/** Returns true for a dead daemon's socket, which refuses that many connections, and false for a free path. Anything else fails. */
const isStale = Effect.fn("isStale")(function* (socketPath: string, refusals: number) {
  const found = yield* attemptSync("stat", socketPath, () => fs.lstatSync(socketPath, { throwIfNoEntry: false }))
  if (found === undefined) return false
  if (!found.isSocket()) {
    return yield* reject(
      `${socketPath} is not a socket but ${kindOf(found)}, so it is not replaced`,
      "Move it away, or choose another path with --socket",
      exitStatus.cannotCreate
    )
  }
  if (found.uid !== process.getuid?.()) {
    return yield* reject(
      `${socketPath} is a socket of another user (uid ${found.uid}), so it is not replaced`,
      "Stop the daemon of that user and remove the socket, or choose another path with --socket",
      exitStatus.cannotCreate
    )
  }
  let result = yield* connect(socketPath)
  for (let count = 1; result === "ECONNREFUSED" && count < refusals; count += 1) {
    yield* Effect.sleep(refusalInterval)
    result = yield* connect(socketPath)
  }
  if (result === "ECONNREFUSED") return true
  // Its owner has just removed it.
  if (result === "ENOENT") return false
  if (result === "connected") return yield* alreadyListening(socketPath, yield* findListener(socketPath))
  return yield* reject(
    `${socketPath} belongs to ${named(yield* findListener(socketPath))}, and connecting to it fails (${result})`,
    "Stop it first, or choose another path with --socket",
    exitStatus.alreadyRunning
  )
})

const alreadyListening = (socketPath: string, owner: number | undefined, otherCause = "") =>
  reject(
    `another daemon is listening on ${socketPath}: ${named(owner)}${otherCause}`,
    "Stop it first, or choose another path with --socket",
    exitStatus.alreadyRunning
  )

const named = (pid: number | undefined): string =>
  pid === undefined ? "a process with an unknown pid" : `process ${pid}`

const kindOf = (found: fs.Stats): string => {
  if (found.isSymbolicLink()) return "a symbolic link"
  if (found.isDirectory()) return "a directory"
  return found.isFile() ? "a plain file" : "a device or a pipe"
}

/** Rejects a directory that others can write, because they could replace the socket. */
const checkDirectory = Effect.fn("checkDirectory")(function* (directory: string) {
  yield* makeDirectory(directory)
  const found = yield* attemptSync("stat", directory, () => fs.statSync(directory))
  if ((found.mode & 0o022) !== 0) {
    return yield* reject(
      `the directory of the socket, ${directory}, is writable by other users`,
      modeHint("go-w", { ...found, path: directory }) ?? "Choose another path with --socket or socket_path",
      exitStatus.cannotCreate
    )
  }
})

/** Tries to connect; returns "connected" or the error code. */
const connect = (socketPath: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ path: socketPath })
    socket.once("connect", () => resume(Effect.succeed("connected")))
    socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "unknown")))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed("ETIMEDOUT") }))

const reject = (reason: string, fix: string, status: number) =>
  Effect.fail(new StartError({ reason, fix, exitStatus: status }))
