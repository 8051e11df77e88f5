/**
 * Makes a directory and those above it, each for its owner alone; one that is there
 * stays as it is. Node's own recursive mkdir tries for ever where a file system says
 * of a directory that is there that it is not, as /proc does.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { attemptSync } from "./durableFile.ts"
import { statIfPresent } from "./pinDirectory.ts"

export const makeDirectory = (directory: string) => attemptSync("create", directory, () => make(directory))

const make = (directory: string): void => {
  try {
    makeOne(directory)
  } catch (cause) {
    const parent = path.dirname(directory)
    if (!isCode(cause, "ENOENT") || parent === directory) throw cause
    make(parent)
    makeOne(directory)
  }
}

const makeOne = (directory: string): void => {
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
  } catch (cause) {
    if (!isCode(cause, "EEXIST")) throw cause
    const found = statIfPresent(directory)
    if (found === undefined) throw new Error("a symbolic link that leads nowhere has that name", { cause })
    if (!found.isDirectory()) throw new Error("something that is not a directory has that name", { cause })
  }
}

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code
