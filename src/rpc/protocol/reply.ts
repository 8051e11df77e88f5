/**
 * A line of the daemon as a reply: a result, which is untrusted until somebody has
 * looked at it, or an error.
 */
import { matchesShape, optional } from "./shape.ts"

export type RpcReply = { readonly error: ReplyError } | { readonly error: undefined; readonly result: unknown }

export interface ReplyError {
  readonly code: number
  readonly message: string
}

/** Undefined if the line is no reply. */
export const readReply = (line: string | undefined): RpcReply | undefined => {
  const reply = parsed(line)
  if (!matchesShape(reply, { error: optional({ code: 0, message: "" }) })) return undefined
  return reply.error === undefined ? { error: undefined, result: Reflect.get(reply, "result") } : { error: reply.error }
}

/** What to say where there is none. */
export const notAReply = "it is not a JSON-RPC reply"

const parsed = (line: string | undefined): unknown => {
  try {
    return JSON.parse(line ?? "")
  } catch {
    return undefined
  }
}
