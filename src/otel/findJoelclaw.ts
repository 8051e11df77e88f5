/**
 * Where joelclaw is: by JOELCLAW_BIN, on the PATH, or where launchd's PATH does not
 * lead: below the home directory, and Homebrew.
 */
import * as Effect from "effect/Effect"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
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
  for (const directory of [...onPath, ...usualPlaces(environment["HOME"] ?? "/nonexistent")]) {
    const command = path.join(directory, "joelclaw")
    if (yield* isExecutable(command)) return command
  }
  return undefined
})

const isExecutable = (file: string): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    try {
      await fs.access(file, constants.X_OK)
      return (await fs.stat(file)).isFile()
    } catch {
      return false
    }
  })
