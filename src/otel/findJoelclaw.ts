/**
 * Where joelclaw is: JOELCLAW_BIN, else on the PATH, else in the usual directories.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"

type Environment = Readonly<Record<string, string | undefined>>

/** Returns the directories that launchd's PATH lacks. */
const usualDirectories = (home: string): ReadonlyArray<string> => [
  path.join(home, ".bun/bin"),
  path.join(home, ".local/bin"),
  "/opt/homebrew/bin",
  "/usr/local/bin"
]

/** Returns the absolute path of joelclaw by JOELCLAW_BIN, else by PATH, else from the usual directories. */
export const findJoelclaw = Effect.fnUntraced(function* (environment: Environment) {
  const configured = environment["JOELCLAW_BIN"]
  if (configured !== undefined && configured !== "") {
    return (yield* isExecutable(configured)) ? path.resolve(configured) : undefined
  }
  const onPath = (environment["PATH"] ?? "").split(path.delimiter).filter((directory) => path.isAbsolute(directory))
  const home = environment["HOME"] ?? ""
  const directories = [...onPath, ...usualDirectories(path.isAbsolute(home) ? home : "/nonexistent")]
  const candidates = directories.map((directory) => path.join(directory, "joelclaw"))
  const executable = yield* Effect.forEach(candidates, isExecutable, { concurrency: "unbounded" })
  return candidates.find((_, index) => executable[index])
})

/** Checks asynchronously, because a directory may be on a server that does not respond. */
const isExecutable = (file: string): Effect.Effect<boolean> =>
  Effect.callback((resume) =>
    fs.access(file, fs.constants.X_OK, (error) => {
      if (error !== null) return resume(Effect.succeed(false))
      fs.stat(file, (_, stats) => resume(Effect.succeed(stats?.isFile() === true)))
    })
  )
