/**
 * The socket protocol: decodes a line as a request, encodes a reply as a line.
 *
 * Newline-delimited JSON-RPC in the predecessor's dialect (protocol specification, section
 * 3). Member names have any letter case, every line gets a reply, ids are echoed, and
 * parameter errors have code -32603. No message quotes the request, which may hold a value.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { stringify } from "../../domain/goText.ts"
import { lineDeadline, maxLineBytes, maxMemberDepth, maxParsedDepth, maxTokens, maxValues } from "./limits.ts"
import { errorCodes, type ErrorTag } from "./errorTags.ts"

/** A failure of the protocol itself; the daemon's own failures have a class each. */
export class RpcError extends Data.TaggedError("RpcError")<{
  readonly tag: ErrorTag
  readonly message: string
  /** What the audit log records instead of a message that quotes the request. */
  readonly recorded?: string
  /** The secret that the audit log names. */
  readonly secretName?: string
}> {}

export interface RpcRequest {
  readonly method: string
  /** If it is an object, its names are in lower case. */
  readonly params: unknown
  /** As JSON text, ready to be echoed. */
  readonly id: string
}

/** The id of a reply to a request without one. */
export const noId = "null"

const textMembers = ["jsonrpc", "method"] as const

/** Decodes a line; a failure is the error of the reply, whose id is null. */
export const decodeRequest = (line: string): Result.Result<RpcRequest, RpcError> => {
  const excess = findExcess(line)
  if (excess !== undefined) return parseError(excess)
  const parsed = Result.try({
    try: (): unknown => JSON.parse(line),
    // The engine's message quotes the text around the error.
    catch: () => "the line is not JSON"
  })
  if (Result.isFailure(parsed)) return parseError(parsed.failure)
  const value = parsed.success
  if (value === null) return Result.succeed({ method: "", params: undefined, id: noId })
  if (!Predicate.isReadonlyObject(value)) {
    return parseError(`json: cannot unmarshal ${kindOf(value)} into Go value of type types.RPCRequest`)
  }
  const members = foldNames(value)
  for (const name of textMembers) {
    const member = members[name] ?? ""
    if (typeof member !== "string") {
      return parseError(
        `json: cannot unmarshal ${kindOf(member)} into Go struct field RPCRequest.${name} of type string`
      )
    }
  }
  const id = members["id"] ?? null
  const sent = members["params"]
  const params = Predicate.isReadonlyObject(sent) ? foldNames(sent) : sent
  const unfit = findUnfit(id, "id") ?? findUnfit(params, "params")
  if (unfit !== undefined) return parseError(unfit)
  return Result.succeed({ method: String(members["method"] ?? ""), params, id: echo(id) })
}

export const stoppingError = new RpcError({
  tag: "Stopping",
  message: "the daemon is stopping and has not started this request; send it again after the restart"
})

export const lineTooLong = new RpcError({
  tag: "ParseError",
  message: `parse error: the line is longer than ${maxLineBytes} bytes`
})

/** With U+FFFD in their place, invalid bytes could make one name of two. */
export const notUtf8 = new RpcError({ tag: "ParseError", message: "parse error: the line is not UTF-8" })

export const lineUnended = new RpcError({
  tag: "ParseError",
  message: `parse error: the line did not end within ${Duration.toSeconds(lineDeadline)} s`
})

/** The last reply before the connection is closed. */
export const memoryExceeded = new RpcError({
  tag: "MemoryExceeded",
  message: "all connections together use too much of the daemon's memory, and this one the most; try again later"
})

export const tooManyConnections = (most: number) =>
  new RpcError({
    tag: "TooManyConnections",
    message: `the daemon has ${most} connections open and takes no more; close some that are not used, and try again`
  })

/** Returns the reply line of a result, with its line feed. */
export const encodeResult = (id: string, result: unknown): string =>
  `{"jsonrpc":"2.0","result":${stringify(result)},"id":${id}}\n`

/** Returns the reply line of an error, with its line feed. */
export const encodeError = (id: string, { data, message, tag }: TaggedMessage): string =>
  `{"jsonrpc":"2.0","error":${stringify({ code: errorCodes[tag], message, data: { tag, ...data } })},"id":${id}}\n`

/** What a reply holds of an error. */
export interface TaggedMessage {
  readonly tag: ErrorTag
  readonly message: string
  /** Further members of `data`. */
  readonly data?: Readonly<Record<string, string>>
}

/** Returns Go's name for the type of a JSON value. */
export const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return "array"
  if (typeof value === "boolean") return "bool"
  return typeof value
}

/** Puts the names into lower case; of several that become one name, the last wins. */
const foldNames = (value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.keys(value).every((name) => name === name.toLowerCase())
    ? value
    : Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]))

const parseError = (reason: string) =>
  Result.fail(new RpcError({ tag: "ParseError", message: `parse error: ${reason}` }))

/** Returns why a text must not be parsed: it has more values, or nests deeper, than any request. */
const findExcess = (text: string): string | undefined => {
  // A shorter line cannot have as many of anything.
  if (text.length <= maxValues) return undefined
  let [commas, strings, opened, depth] = [0, 0, 0, 0]
  const token = /[",[\]{}]/g
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [character] = found
    if (character === '"') {
      strings += 1
      token.lastIndex = endOfString(text, found.index)
    } else if (character === ",") commas += 1
    else if (character === "[" || character === "{") {
      opened += 1
      depth += 1
    } else depth -= 1
    // The parser stops at a bracket too many as well.
    if (depth < 0) return undefined
    if (depth > maxParsedDepth) return "the line is nested too deeply"
    if (commas > maxValues || strings > maxTokens || opened > maxTokens) {
      return `the line holds more than ${maxValues} values`
    }
  }
  return undefined
}

/** Returns the index after the string: after the first quotation mark with an even number of backslashes before it. */
const endOfString = (text: string, begin: number): number => {
  for (let end = text.indexOf('"', begin + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before -= 1
    if ((end - before) % 2 === 1) return end + 1
  }
  return text.length
}

const backslash = 0x5c

/** Returns why a member cannot be used: a number that no double holds, or nesting too deep to walk through. */
const findUnfit = (member: unknown, name: string): string | undefined => {
  // Most members need no walk.
  if (typeof member === "string" || member === null || member === undefined || isFlat(member)) return undefined
  const waiting = [{ value: member, depth: 1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next
    if (typeof value === "number" && !Number.isFinite(value)) return `a number in ${name} is out of range`
    if (typeof value !== "object" || value === null) continue
    if (depth > maxMemberDepth) return `${name} is nested too deeply`
    for (const inner of Object.values(value)) waiting.push({ value: inner, depth: depth + 1 })
  }
  return undefined
}

/** Returns whether all members are strings. */
const isFlat = (value: unknown): boolean =>
  Predicate.isReadonlyObject(value) && Object.values(value).every((member) => typeof member === "string")

/** Encodes an id as the predecessor does: keys in byte order, strings well-formed, the zero with its sign. */
const echo = (id: unknown): string => {
  if (typeof id === "string") return stringify(id.toWellFormed())
  if (Object.is(id, -0)) return "-0"
  if (Array.isArray(id)) return `[${id.map(echo).join(",")}]`
  if (typeof id !== "object" || id === null) return stringify(id)
  const members = Object.entries(id).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${members.map(([name, member]) => `${echo(name)}:${echo(member)}`).join(",")}}`
}
