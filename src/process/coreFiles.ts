/**
 * Core files: none of our memory goes into one, because it may hold values.
 *
 * Linux has a filter for that in /proc, which works at once and costs no process. Children
 * inherit it; only a program that the user runs through us gets the user's own filter back.
 */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs"

const found: { filter: string | undefined } = { filter: undefined }

/** Excludes every kind of memory mapping from core files. */
export const emptyCoreFiles = (): void => {
  try {
    const descriptor = openSync("/proc/self/coredump_filter", "r+")
    try {
      const text = Buffer.alloc(16)
      found.filter = text.toString("latin1", 0, readSync(descriptor, text)).trim()
      writeSync(descriptor, "0")
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // Not Linux, or /proc is not mounted.
  }
}

/**
 * Gives a program that we started the filter that we were started with. It runs already: what it starts before this
 * keeps ours, which is the safe side.
 */
export const restoreCoreFiles = (pid: number | undefined): void => {
  if (pid === undefined || found.filter === undefined) return
  try {
    // The kernel prints the number in hexadecimal, without the prefix that it wants to read.
    writeFileSync(`/proc/${pid}/coredump_filter`, `0x${found.filter}`)
  } catch {
    // It has just exited, or it is setuid, and has no core files.
  }
}
