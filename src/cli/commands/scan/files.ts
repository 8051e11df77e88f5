/**
 * The files of a tree that are looked at, and how one is opened.
 *
 * Only regular files below the directory itself: links are not followed, wherever
 * they lead, and nothing is opened that could make the reader wait or do something
 * when it is opened. What cannot be read is told.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { reasonOf } from "../../command/Output.ts"
import { wordsIn } from "./git.ts"

export type ListedFile =
  | { readonly is: "file"; readonly path: string }
  /** A repository inside the one that was listed, of which git tells nothing more. */
  | { readonly is: "repository"; readonly path: string }
  | { readonly is: "unreadable"; readonly path: string; readonly reason: string }

export interface WalkOptions {
  readonly recursive: boolean
  /** Names of files and directories that are passed over, wherever they stand below the directory. */
  readonly excluded: ReadonlySet<string>
}

/** All files below a directory. */
export function* walk(directory: string, choice: WalkOptions): Generator<ListedFile> {
  let entries: ReadonlyArray<fs.Dirent>
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    yield { is: "unreadable", path: directory, reason: reasonOf(error) }
    return
  }
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (choice.excluded.has(entry.name)) continue
    const at = path.join(directory, entry.name)
    if (entry.isFile()) yield { is: "file", path: at }
    else if (entry.isDirectory() && choice.recursive) yield* walk(at, choice)
  }
}

/** The files of git's list of a directory that are there. */
export function* listed(directory: string, list: Buffer, choice: WalkOptions): Generator<ListedFile> {
  const isInside = insideOf(directory)
  let last: string | undefined
  for (const name of wordsIn(list)) {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".")
    // The place of a submodule that is not there: git says "./" of it and nothing of what lies in it.
    if (parts.length === 0) yield* walk(directory, choice)
    // A file that is being merged is there several times.
    if (parts.length === 0 || name === last || parts.some((part) => choice.excluded.has(part))) continue
    if (!choice.recursive && parts.length > 1) continue
    last = name
    const at = path.join(directory, name)
    try {
      const stat = fs.lstatSync(at)
      // A directory that git has files in may be a link by now.
      if (stat.isFile() && isInside(path.dirname(at))) yield { is: "file", path: at }
      else if (stat.isDirectory() && choice.recursive && isInside(at)) yield { is: "repository", path: at }
    } catch (error) {
      const reason = reasonOf(error)
      // What is only in the index is not here; a name that is no text could not even be asked for.
      const isGone = ["ENOENT", "ENOTDIR"].includes(reason) && !name.includes("\uFFFD")
      if (!isGone) yield { is: "unreadable", path: at, reason }
    }
  }
}

const insideOf = (directory: string): ((inner: string) => boolean) => {
  const root = fs.realpathSync(directory)
  let last = { inner: "", isInside: false }
  return (inner) => {
    if (inner !== last.inner) {
      const real = fs.realpathSync(inner)
      last = { inner, isInside: real === root || real.startsWith(root === "/" ? root : `${root}/`) }
    }
    return last.isInside
  }
}

/** An open file: bytes into a buffer, 0 at its end. Throws what the system says. */
export interface ScannedFile {
  readonly read: (into: Buffer) => number
  readonly close: () => void
}

/** Files in /proc do not tell how long they are, and some never end. */
const maxUnknown = 16 * 1024 * 1024

/** Opens a regular file; gives the reason if it is none any more or cannot be opened. */
export const openForScan = (file: string): ScannedFile | string => {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  try {
    const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    const stat = fs.fstatSync(descriptor)
    const close = () => fs.closeSync(descriptor)
    if (!stat.isFile()) {
      close()
      return "it is not a regular file"
    }
    // What is appended while it is read is left for the next time: it might never end.
    let left = stat.size === 0 ? maxUnknown : stat.size
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
