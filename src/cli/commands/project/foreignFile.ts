/**
 * A file that another user may have made: who owns it, and reading it safely.
 */
import * as fs from "node:fs"
import { encodePath } from "../../../domain/pathText.ts"

/** Reads a regular file of bounded size, once. Never waits for a pipe or reads a device. Throws system errors. */
export const readRegularFile = (
  file: string,
  mebibytes: number,
  flags = 0
): { readonly bytes: Buffer; readonly stat: fs.Stats } => {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | flags)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) throw new Error("not a regular file")
    if (stat.size > mebibytes * 1024 * 1024) throw new Error(`longer than ${mebibytes} MiB`)
    return { bytes: fs.readFileSync(descriptor), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Returns whether another user but root owns it, or everybody can write to it. Root obeys only root. */
export const isOthers = (stat: fs.Stats): boolean => {
  const user = process.getuid?.() ?? stat.uid
  if (stat.uid !== user && stat.uid !== 0) return true
  const isSticky = stat.isDirectory() && (stat.mode & 0o1000) !== 0
  return !stat.isSymbolicLink() && !isSticky && (stat.mode & 0o002) !== 0
}

/** The header is a few lines long. */
const headBytes = 4096

/**
 * Reads the beginning of a regular file. Returns undefined for anything else: a symbolic link is not followed, a pipe
 * not opened. Throws the system's error.
 */
export const readHead = (file: string): { readonly text: string; readonly stat: fs.Stats } | undefined => {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  if (!fs.lstatSync(encodePath(file)).isFile()) return undefined
  const descriptor = fs.openSync(encodePath(file), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) return undefined
    const bytes = Buffer.alloc(headBytes)
    return { text: bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, headBytes, 0)), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
