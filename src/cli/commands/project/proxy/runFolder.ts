/**
 * The folder of a run: settings and certificates for its program, and the sockets of clients that take no address. Only this
 * user can enter it; no value is in it. It is removed at the end of the run, or by the next run if `exec` was killed.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { CommandError } from "../../../command/CommandError.ts"
import { reasonOf } from "../../../command/Output.ts"
import { makePrivateDirectory } from "../privateDirectory.ts"

const folderPrefix = "secrets-run-"

/** The socket in a folder that accepts connections while its run lasts. */
export const lifeSocket = "run.sock"

export const runFolder = Effect.acquireRelease(
  Effect.tap(
    Effect.try({
      try: () => makePrivateDirectory(folderPrefix),
      catch: (cause) =>
        new CommandError({
          message: `cannot make a folder for the program: ${cause instanceof Error ? cause.message : reasonOf(cause)}`,
          code: "io_error",
          fix: "Name a folder of your own in XDG_RUNTIME_DIR or TMPDIR",
          exitStatus: exitStatus.failed
        })
    }),
    (folder) => removeDeadFolders(path.dirname(folder))
  ),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Removes this user's folders of runs that ended without removing them: those whose socket accepts no connection. */
export const removeDeadFolders = Effect.fnUntraced(function* (parent: string) {
  for (const name of namesIn(parent).filter((one) => one.startsWith(folderPrefix))) {
    const folder = path.join(parent, name)
    if (!isOwnDirectory(folder) || !(yield* isRefused(path.join(folder, lifeSocket)))) continue
    yield* Effect.ignore(Effect.try(() => fs.rmSync(folder, { recursive: true, force: true })))
  }
})

const namesIn = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}

const isOwnDirectory = (at: string): boolean => {
  const found = fs.lstatSync(at, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.geteuid?.()
}

/** Returns whether a socket is there on which no process listens. */
const isRefused = (at: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = net.connect({ path: at })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.once("error", (error) => resume(Effect.succeed("code" in error && error.code === "ECONNREFUSED")))
  })

/** Writes files into the folder, by name. One that is there is replaced as a whole: a client may read it. */
export const writeInto = (folder: string, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
    fs.writeFileSync(`${file}.new`, text, { mode: 0o600 })
    fs.renameSync(`${file}.new`, file)
  }
}

/** Returns the text of a file; undefined if it cannot be read. */
export const readFileIfAny = (file: string): string | undefined => {
  try {
    return fs.statSync(file).isFile() ? fs.readFileSync(file, "utf8") : undefined
  } catch {
    return undefined
  }
}
