/**
 * Why something outside of us failed, in a word: the system's own, such as EACCES, or
 * what we said ourselves. It needs nothing, so that what starts at once may use it.
 */
export const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown"
  return "code" in cause ? String(cause.code) : cause.message
}
