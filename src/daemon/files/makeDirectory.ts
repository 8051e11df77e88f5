/**
 * Creates a directory and its parents with mode 0700; an existing one is left as it is.
 *
 * Node's recursive mkdir loops forever if a file system, such as /proc, reports
 * ENOENT for a parent that exists.
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
    if (!hasCode(cause, "ENOENT") || parent === directory) throw cause
    make(parent)
    makeOne(directory)
  }
}

const makeOne = (directory: string): void => {
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
    const found = statIfPresent(directory)
    if (found === undefined) throw new Error("a dangling symbolic link has that name", { cause })
    if (!found.isDirectory()) throw new Error("a file that is not a directory has that name", { cause })
  }
}

const hasCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code
