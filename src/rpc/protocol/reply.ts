/**
 * Decodes a line of the daemon as a reply: a result, which is untrusted until its shape
 * is checked, or an error.
 */
import { type ErrorTag, isErrorTag, tagOfCode } from "./errorTags.ts"
import { matchesShape, optional } from "../../domain/shape.ts"

export type RpcReply = { readonly error: ReplyError } | { readonly error: undefined; readonly result: unknown }

export interface ReplyError {
  readonly code: number
  readonly message: string
  /** Undefined where neither the tag nor the code is one that this program has a name for. */
  readonly tag: ErrorTag | undefined
  /** A TTL that is too long. */
  readonly ttl?: { readonly requested: string; readonly maximum: string }
  /** The request that waits for a person. */
  readonly request?: { readonly request_id: string; readonly expires_at: string }
}

/** Returns undefined if the line is no reply. */
export const readReply = (line: string | undefined): RpcReply | undefined => {
  const reply = parsed(line)
  if (!matchesShape(reply, { error: optional({ code: 0, message: "" }) })) return undefined
  if (reply.error === undefined) return { error: undefined, result: Reflect.get(reply, "result") }
  const { code, message } = reply.error
  const data: unknown = Reflect.get(reply.error, "data")
  const tag = matchesShape(data, { tag: "" }) && isErrorTag(data.tag) ? data.tag : tagOfCode(code)
  const request = matchesShape(data, { request_id: "", expires_at: "" }) ? data : undefined
  const ttl = matchesShape(data, { requested: "", maximum: "" }) ? data : undefined
  return { error: { code, message, tag, ...(request && { request }), ...(ttl && { ttl }) } }
}

export const notAReply = "it is not a JSON-RPC reply"

const parsed = (line: string | undefined): unknown => {
  try {
    return JSON.parse(line ?? "")
  } catch {
    return undefined
  }
}
