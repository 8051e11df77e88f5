/**
 * The files of a tree that are scanned, and how one is opened.
 *
 * Only regular files below the directory: symbolic links are not followed, and devices and
 * pipes are never opened. Unreadable files are reported.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { type DirectoryEntry, readDirectory, realPath } from "../readDirectory.ts"
import { decodePath, encodePath } from "../../../domain/pathText.ts"
import { reasonOf } from "../../command/Output.ts"

export type ListedFile =
  | { readonly kind: "file"; readonly path: string }
  /** A repository inside the listed one, whose files git does not list. */
  | { readonly kind: "repository"; readonly path: string }
  | { readonly kind: "unreadable"; readonly path: string; readonly reason: string }

export interface WalkOptions {
  readonly recursive: boolean
  /** Names of files and directories to skip at any depth. */
  readonly excluded: ReadonlySet<string>
}

/** Yields all files below a directory. */
export function* walk(directory: string, options: WalkOptions): Generator<ListedFile> {
  let entries: ReadonlyArray<DirectoryEntry>
  try {
    entries = readDirectory(directory)
  } catch (error) {
    yield { kind: "unreadable", path: directory, reason: reasonOf(error) }
    return
  }
  for (const entry of entries) {
    if (options.excluded.has(entry.name)) continue
    const at = path.join(directory, entry.name)
    if ("reason" in entry) yield { kind: "unreadable", path: at, reason: entry.reason }
    else if (entry.status.isFile()) yield { kind: "file", path: at }
    else if (entry.status.isDirectory() && options.recursive) yield* walk(at, options)
  }
}

/** Yields the strings of a NUL-terminated list. */
export function* splitList(list: Buffer): Generator<string> {
  for (let at = 0, end = list.indexOf(0); end !== -1; at = end + 1, end = list.indexOf(0, at)) {
    yield decodePath(list.subarray(at, end))
  }
}

/** Yields the files of git's list that exist. */
export function* listed(directory: string, list: Buffer, options: WalkOptions): Generator<ListedFile> {
  const isInside = insideOf(directory)
  let last: string | undefined
  for (const name of splitList(list)) {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".")
    // A submodule that is not checked out: git lists it as "./", without its files.
    if (parts.length === 0) yield* walk(directory, options)
    // A file with a merge conflict is listed several times.
    if (parts.length === 0 || name === last || parts.some((part) => options.excluded.has(part))) continue
    if (!options.recursive && parts.length > 1) continue
    last = name
    const at = path.join(directory, name)
    try {
      const stat = fs.lstatSync(encodePath(at))
      // A directory with tracked files may be a symbolic link by now.
      if (stat.isFile() && isInside(path.dirname(at))) yield { kind: "file", path: at }
      else if (stat.isDirectory() && options.recursive && isInside(at)) yield { kind: "repository", path: at }
    } catch (error) {
      const reason = reasonOf(error)
      // A file that is only in the index does not exist here.
      if (reason !== "ENOENT" && reason !== "ENOTDIR") yield { kind: "unreadable", path: at, reason }
    }
  }
}

const insideOf = (directory: string): ((inner: string) => boolean) => {
  const root = realPath(directory)
  let last = { inner: "", isInside: false }
  return (inner) => {
    if (inner !== last.inner) {
      const real = realPath(inner)
      last = { inner, isInside: real === root || real.startsWith(root === "/" ? root : `${root}/`) }
    }
    return last.isInside
  }
}

/** Files in /proc report a size of 0, and some never end. */
const maxUnsized = 16 * 1024 * 1024

/** Opens a regular file, or returns why it cannot be scanned. `read` throws system errors. */
export const openForScan = (file: string) => {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  try {
    const descriptor = fs.openSync(encodePath(file), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    const stat = fs.fstatSync(descriptor)
    const close = () => fs.closeSync(descriptor)
    if (!stat.isFile()) {
      close()
      return "not a regular file"
    }
    // Bytes that are appended meanwhile are not read: they might never end.
    let left = stat.size === 0 ? maxUnsized : stat.size
    const read = (into: Buffer) => {
      const count = fs.readSync(descriptor, into, 0, Math.min(left, into.length), null)
      left -= count
      return count
    }
    return { read, close }
  } catch (error) {
    return reasonOf(error)
  }
}
