/**
 * Whether a person is at the other end. It loads nothing: the fast path uses it.
 */
import { fstatSync } from "node:fs"

/**
 * Returns whether a person can be asked: standard input and standard error are a terminal. A
 * script that has only its output on one is not asked.
 */
export const isInteractive = (): boolean => {
  const { isatty } = process.getBuiltinModule("node:tty")
  return isatty(0) && isatty(2)
}

/** Returns whether standard output is a terminal. A file or a pipe costs one call. */
export const printsToTerminal = (): boolean => {
  try {
    return fstatSync(1).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(1)
  } catch {
    return false
  }
}
