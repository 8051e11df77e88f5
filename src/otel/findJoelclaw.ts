/**
 * Where joelclaw is: by JOELCLAW_BIN, on the PATH, or where launchd's PATH does not
 * lead: below the home directory, and Homebrew.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"

const usualPlaces = (home: string): ReadonlyArray<string> => [
  path.join(home, ".bun/bin"),
  path.join(home, ".local/bin"),
  "/opt/homebrew/bin",
  "/usr/local/bin"
]

/** The absolute path of the command; undefined if it is nowhere. */
export const findJoelclaw = Effect.fn("findJoelclaw")(function* (
  environment: Readonly<Record<string, string | undefined>>
) {
  const named = environment["JOELCLAW_BIN"]
  if (named !== undefined && named !== "") return (yield* isExecutable(named)) ? path.resolve(named) : undefined
  const onPath = (environment["PATH"] ?? "").split(path.delimiter).filter((directory) => path.isAbsolute(directory))
  const places = [...onPath, ...usualPlaces(environment["HOME"] ?? "/nonexistent")].map((directory) =>
    path.join(directory, "joelclaw")
  )
  const found = yield* Effect.forEach(places, isExecutable, { concurrency: "unbounded" })
  return places.find((_, at) => found[at])
})

/** Not at once: where a directory is on a server that does not answer, the daemon does not wait for it. */
const isExecutable = (file: string): Effect.Effect<boolean> =>
  Effect.callback((resume) =>
    fs.access(file, fs.constants.X_OK, (fault) => {
      if (fault !== null) return resume(Effect.succeed(false))
      fs.stat(file, (_, stats) => resume(Effect.succeed(stats?.isFile() === true)))
    })
  )
