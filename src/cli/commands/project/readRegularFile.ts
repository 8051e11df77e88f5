/**
 * The text of a regular file of bounded size, and which file that was, whatever comes
 * to stand in its place meanwhile.
 *
 * Of a device nobody knows when it ends, and to open a pipe is to wait. Throws what
 * the system says, or what is wrong with the file.
 */
import * as fs from "node:fs"

const mebibyte = 1024 * 1024

export const readRegularFile = (
  file: string,
  mebibytes: number
): { readonly text: string; readonly stat: fs.Stats } => {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) throw new Error("it is not a regular file")
    if (stat.size > mebibytes * mebibyte) throw new Error(`it is longer than ${mebibytes} MiB`)
    return { text: fs.readFileSync(descriptor, "utf8"), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
