/**
 * How the program that is running can be run again by somebody else: two absolute
 * paths that hold longer than this process.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"

export interface ThisProgram {
  /** The Node that runs it; undefined where it is a program by itself. */
  readonly runtime: string | undefined
  readonly program: string
}

/**
 * Node knows its own path with all links followed. Package managers keep each version in a directory that goes
 * with it, and a link to the newest one here.
 */
const lastingPlaces = ["/opt/homebrew/bin/node", "/usr/local/bin/node", "/usr/bin/node"]

export const thisProgram: Effect.Effect<ThisProgram> = Effect.promise(async () => {
  // Within the binary, what Bun takes for the script is a place that is in the binary as well.
  if (process.versions["bun"] !== undefined) return { runtime: undefined, program: process.execPath }
  const real = await realPath(process.execPath)
  const lasting = await Promise.all(lastingPlaces.map(async (place) => ((await realPath(place)) === real ? place : "")))
  return {
    runtime: lasting.find((place) => place !== "") ?? process.execPath,
    program: path.resolve(process.argv[1] ?? "")
  }
})

const realPath = (file: string): Promise<string> => fs.realpath(file).catch(() => file)
