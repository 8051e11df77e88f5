/**
 * Directories whose names need not be UTF-8: they are read as bytes and held as `pathText`.
 */
import * as fs from "node:fs"
import { decodePath, encodePath } from "../../domain/pathText.ts"

export interface DirectoryEntry {
  readonly name: string
  readonly isFile: boolean
  readonly isDirectory: boolean
}

/** Returns the entries in the order of their names. Throws system errors. */
export const readDirectory = (directory: string): ReadonlyArray<DirectoryEntry> =>
  fs
    .readdirSync(encodePath(directory), { withFileTypes: true, encoding: "buffer" })
    .map((entry) => ({
      name: decodePath(entry.name),
      isFile: entry.isFile(),
      isDirectory: entry.isDirectory()
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))

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
