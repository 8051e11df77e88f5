/**
 * Names the errors of file systems that Node reports as `Unknown system error -122` or
 * `UNKNOWN`, such as EDQUOT. It imports no library: the fast path uses it.
 */
import { constants } from "node:os"

/** Those that file systems use. */
const texts: Readonly<Record<string, string>> = {
  EDQUOT: "disk quota exceeded",
  ESTALE: "stale file handle",
  ENOLCK: "no locks available",
  EBADMSG: "bad message",
  EUCLEAN: "structure needs cleaning",
  EREMOTEIO: "remote i/o error",
  ENOKEY: "required key not available"
}

/** Numbers of Linux for names that Node does not have. */
const numbers: Readonly<Record<string, number>> = { EUCLEAN: 117, EREMOTEIO: 121, ENOKEY: 126, ...constants.errno }

/** Returns the code of a failed system call, such as ENOSPC; undefined for another error. */
export const systemErrorCode = ({ code, errno }: NodeJS.ErrnoException): string | undefined => {
  if (errno === undefined || isNamed(code)) return code
  return Object.keys(texts).find((name) => numbers[name] === -errno) ?? `system error ${-errno}`
}

/** Returns what Node says about a failed system call, with the name and the text that it lacks. */
export const systemErrorText = (cause: NodeJS.ErrnoException): string => {
  const code = systemErrorCode(cause)
  if (code === undefined || code === cause.code) return cause.message
  const text = texts[code]
  return text === undefined ? code : `${code}: ${text}`
}

/** Returns the same without the call and the path, which the message names: `ENOENT: no such file or directory`. */
export const fileErrorText = (cause: unknown): string =>
  cause instanceof Error ? systemErrorText(cause).replace(/, \w+( '.*')?$/, "") : String(cause)

const isNamed = (code: string | undefined): boolean => code !== undefined && /^E[A-Z0-9_]+$/.test(code)
