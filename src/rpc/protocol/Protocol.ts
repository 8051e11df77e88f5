/**
 * One line of the socket protocol: read as a request, written as a reply.
 *
 * Newline-delimited JSON-RPC in the predecessor's dialect: member names in any
 * letter case, every line answered, ids echoed, parameter errors under -32603.
 * Source: protocol specification, section 3. No message quotes what was sent: it
 * may hold a value.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { stringify } from "../../domain/goText.ts"
import { lineDeadline } from "./limits.ts"
import { errorCodes, type ErrorTag } from "./errorTags.ts"

/** A failure of the protocol itself; the daemon's own failures have a class each. */
export class RpcError extends Data.TaggedError("RpcError")<{
  readonly tag: ErrorTag
  readonly message: string
  /** What the audit log records instead of a message that quotes the request. */
  readonly recorded?: string
}> {}

export interface RpcRequest {
  readonly method: string
  /** If it is an object, its names are in lower case. */
  readonly params: unknown
  /** As JSON text, ready to be echoed. */
  readonly id: string
}

/** The id of a reply to something that had none. */
export const noId = "null"

/** The longest line: a value of 1 MiB, each of its bytes escaped to six, and what goes around it. */
export const maxLineBytes = 8 * 1024 * 1024

/** More values than this are in no request of any caller, and parsing them by the million would hold up the others. */
const maxValues = 1_000

/** More strings or containers have no request either, whatever lies between them. */
const maxMarks = 50_000

/** Deeper nesting than this is refused, as the predecessor does. */
const deepestParsed = 10_000

/** Deeper nesting than this is refused in an id or parameters: far beyond any request, and well within what can be walked. */
const depthLimit = 1_000

const textMembers = ["jsonrpc", "method"] as const

/** Reads a line; the failure is the reply's error, with the id null. */
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
  message: "the daemon is stopping, and this was not begun; ask again when it is back"
})

export const lineTooLong = new RpcError({
  tag: "ParseError",
  message: `parse error: the line is longer than ${maxLineBytes} bytes`
})

/** Two names that differ in bytes which are no text must not become one. */
export const notUtf8 = new RpcError({ tag: "ParseError", message: "parse error: the line is not UTF-8" })

export const lineUnended = new RpcError({
  tag: "ParseError",
  message: `parse error: the line did not end within ${Duration.toSeconds(lineDeadline)} s`
})

/** Sent before the connection is cut off, as all of them hold more than the daemon gives. */
export const memoryExceeded = new RpcError({
  tag: "MemoryExceeded",
  message: "the connections together hold too much of the daemon's memory, and this one the most; try again later"
})

export const tooManyConnections = (most: number) =>
  new RpcError({
    tag: "TooManyConnections",
    message: `the daemon has ${most} connections open and takes no more; close some that are not used, and try again`
  })

/** The reply line of a result, with its line feed. */
export const encodeResult = (id: string, result: unknown): string =>
  `{"jsonrpc":"2.0","result":${stringify(result)},"id":${id}}\n`

/** The reply line of an error, with its line feed. */
export const encodeError = (id: string, { tag, message }: TaggedMessage): string =>
  `{"jsonrpc":"2.0","error":${stringify({ code: errorCodes[tag], message, data: { tag } })},"id":${id}}\n`

/** What a reply holds of an error. */
export interface TaggedMessage {
  readonly tag: ErrorTag
  readonly message: string
}

/** What Go calls the type of a JSON value. */
export const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return "array"
  if (typeof value === "boolean") return "bool"
  return typeof value
}

/** Members by their names in lower case; of several that fold to one name, the spelling that came last counts. */
const foldNames = (value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.keys(value).every((name) => name === name.toLowerCase())
    ? value
    : Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]))

const parseError = (reason: string) =>
  Result.fail(new RpcError({ tag: "ParseError", message: `parse error: ${reason}` }))

/** What makes a text too much to be parsed: more values, or deeper nesting, than any request has. */
const findExcess = (text: string): string | undefined => {
  // A line without so many characters has not so many of anything.
  if (text.length <= maxValues) return undefined
  let [commas, strings, opened, depth] = [0, 0, 0, 0]
  const marks = /[",[\]{}]/g
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    const [character] = mark
    if (character === '"') {
      strings += 1
      marks.lastIndex = endOfString(text, mark.index)
    } else if (character === ",") commas += 1
    else if (character === "[" || character === "{") {
      opened += 1
      depth += 1
    } else depth -= 1
    // More is closed than was opened: the parser does not get beyond this either.
    if (depth < 0) return undefined
    if (depth > deepestParsed) return "the line is nested too deeply"
    if (commas > maxValues || strings > maxMarks || opened > maxMarks) {
      return `the line holds more than ${maxValues} values`
    }
  }
  return undefined
}

/** Behind the quotation mark that ends the string which begins here: the first with an even number of backslashes before it. */
const endOfString = (text: string, begin: number): number => {
  for (let end = text.indexOf('"', begin + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before -= 1
    if ((end - before) % 2 === 1) return end + 1
  }
  return text.length
}

const backslash = 0x5c

/** What keeps a member from being used: a number that no double holds, or nesting too deep to be walked. */
const findUnfit = (member: unknown, name: string): string | undefined => {
  // Names and such, as most are, need no walk.
  if (typeof member === "string" || member === null || member === undefined || isFlat(member)) return undefined
  const waiting = [{ value: member, depth: 1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next
    if (typeof value === "number" && !Number.isFinite(value)) return `a number in ${name} is out of range`
    if (typeof value !== "object" || value === null) continue
    if (depth > depthLimit) return `${name} is nested too deeply`
    for (const inner of Object.values(value)) waiting.push({ value: inner, depth: depth + 1 })
  }
  return undefined
}

/** Whether it holds nothing but texts. */
const isFlat = (value: unknown): boolean =>
  Predicate.isReadonlyObject(value) && Object.values(value).every((member) => typeof member === "string")

/** The text of an id as the predecessor echoes it: keys of objects in byte order, text well-formed, the zero with its sign. */
const echo = (id: unknown): string => {
  if (typeof id === "string") return stringify(id.toWellFormed())
  if (Object.is(id, -0)) return "-0"
  if (Array.isArray(id)) return `[${id.map(echo).join(",")}]`
  if (typeof id !== "object" || id === null) return stringify(id)
  const members = Object.entries(id).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${members.map(([name, member]) => `${echo(name)}:${echo(member)}`).join(",")}}`
}
