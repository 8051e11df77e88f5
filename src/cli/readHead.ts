/**
 * The beginning of a file, where an env file says whether it is ours, and which file
 * that was.
 *
 * Of a regular file only: a link is not followed, and nothing is opened that makes
 * its reader wait. Throws what the system says.
 */
import * as fs from "node:fs"

/** The header is a few lines; who writes more before it does not write what we read. */
const headBytes = 4096

export const readHead = (file: string): { readonly text: string; readonly stat: fs.Stats } | undefined => {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  if (!fs.lstatSync(file).isFile()) return undefined
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) return undefined
    const bytes = Buffer.alloc(headBytes)
    return { text: bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, headBytes, 0)), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
