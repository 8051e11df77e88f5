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

/** Resolves links. Throws system errors. */
export const realPath = (name: string): string => decodePath(fs.realpathSync.native(encodePath(name), "buffer"))
