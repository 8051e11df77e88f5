/**
 * A file that another user may have made: who owns it, and reading it safely.
 */
import * as fs from "node:fs"

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
