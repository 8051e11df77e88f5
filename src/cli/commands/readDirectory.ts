/**
 * Directories whose names need not be UTF-8: they are read as bytes and held as `pathText`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { decodePath, encodePath } from "../../domain/pathText.ts"
import { reasonOf } from "../command/Output.ts"

export type DirectoryEntry = { readonly name: string } & (
  | { readonly status: fs.Stats }
  | { /** Why there is no status. */ readonly reason: string }
)

/**
 * Returns the entries in the order of their names. Throws system errors of the directory itself.
 *
 * Not every runtime gives the kinds of entries together with names as bytes: each entry is asked for its own.
 */
export const readDirectory = (directory: string): ReadonlyArray<DirectoryEntry> =>
  fs
    .readdirSync(encodePath(directory), "buffer")
    .map(decodePath)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .flatMap((name): ReadonlyArray<DirectoryEntry> => {
      try {
        const status = fs.lstatSync(encodePath(path.join(directory, name)), { throwIfNoEntry: false })
        return status === undefined ? [] : [{ name, status }]
      } catch (error) {
        return [{ name, reason: reasonOf(error) }]
      }
    })

/** Returns the status of a file. Throws system errors. */
export const statPath = (name: string): fs.Stats => fs.statSync(encodePath(name))

/** Returns a path of the command line as it was given: Node replaces bytes that are not UTF-8, and Linux shows them. */
export const givenPath = (word: string, commandLine = "/proc/self/cmdline"): string => {
  if (!word.includes("\ufffd")) return word
  try {
    // Each byte is one character.
    const words = fs.readFileSync(commandLine, "latin1").split("\0")
    const given = words.map((one) => Buffer.from(one, "latin1")).find((bytes) => bytes.toString("utf8") === word)
    return given === undefined ? word : decodePath(given)
  } catch {
    return word
  }
}

/** Resolves links. Throws system errors. */
export const realPath = (name: string): string => decodePath(fs.realpathSync.native(encodePath(name), "buffer"))
