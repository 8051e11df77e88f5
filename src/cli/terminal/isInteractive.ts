/**
 * Returns whether a person can be asked: standard input and standard error are a terminal. A
 * script that has only its output on one is not asked. It loads nothing: the fast path uses it.
 */
export const isInteractive = (): boolean => {
  const { isatty } = process.getBuiltinModule("node:tty")
  return isatty(0) && isatty(2)
}
