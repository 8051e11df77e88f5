/**
 * A line of the daemon as a reply: a result, which is untrusted until somebody has
 * looked at it, or an error.
 */
import { isLike, maybe } from "./likeness.ts"

export type Reply = { readonly error: ReplyError } | { readonly error: undefined; readonly result: unknown }

export interface ReplyError {
  readonly code: number
  readonly message: string
}

/** Undefined if the line is no reply. */
export const readReply = (line: string | undefined): Reply | undefined => {
  const reply = parsed(line)
  if (!isLike(reply, { error: maybe({ code: 0, message: "" }) })) return undefined
  return reply.error === undefined ? { error: undefined, result: Reflect.get(reply, "result") } : { error: reply.error }
}

/** What to say where there is none. */
export const noReply = "it is not a JSON-RPC reply"

const parsed = (line: string | undefined): unknown => {
  try {
    return JSON.parse(line ?? "")
  } catch {
    return undefined
  }
}
