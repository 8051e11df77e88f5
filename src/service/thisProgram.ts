/**
 * The absolute paths by which a supervisor can run this program again.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"

export interface ThisProgram {
  /** The path of Node; undefined for the binary. */
  readonly runtime: string | undefined
  readonly program: string
}

/**
 * process.execPath is resolved. Package managers remove its directory with the version, and keep a symbolic link to
 * the newest version here.
 */
const stablePaths = ["/opt/homebrew/bin/node", "/usr/local/bin/node", "/usr/bin/node"]

export const thisProgram: Effect.Effect<ThisProgram> = Effect.promise(async () => {
  // In the binary, process.argv[1] is a path inside Bun's virtual file system.
  if (process.versions["bun"] !== undefined) return { runtime: undefined, program: process.execPath }
  const real = await realPath(process.execPath)
  const stable = await Promise.all(stablePaths.map(async (link) => ((await realPath(link)) === real ? link : "")))
  return {
    runtime: stable.find((link) => link !== "") ?? process.execPath,
    program: path.resolve(process.argv[1] ?? "")
  }
})

const realPath = (file: string): Promise<string> => fs.realpath(file).catch(() => file)
