/**
 * What a client may send, by JSON-RPC and the Model Context Protocol, before the server gets it: whole messages with
 * usable ids, batches only where the version has them, and nothing before the handshake. The rest is answered here: the
 * server would leave it without an answer, or call it an internal error.
 *
 * The handshake is answered here too, so that it waits for no library. A message is passed on with the members of the
 * protocol alone, and an answer echoes no long text of the client.
 */
import { cutLine } from "../../command/Output.ts"
import { instructions, serverInfo, versionFor } from "./mcpIdentity.ts"

/** What becomes of a line: the server gets the message, and the client the answer. */
export interface ReadLine {
  readonly message?: string | undefined
  readonly answer?: string | undefined
}

export interface McpGate {
  /** Reads a line of the client; undefined is one that was too long. */
  readonly read: (line: string | undefined) => ReadLine
  /** Returns a line of the server as the client gets it; empty for one that it does not get. */
  readonly written: (line: string) => string
  /** Returns how many requests wait for an answer. */
  readonly waiting: () => number
}

type Id = string | number
type Message = Readonly<Record<string, unknown>>
interface Read {
  readonly message?: Message
  readonly answer?: Message
}

const parseError = -32700
const invalidRequest = -32600
const invalidParams = -32602

const versionKey = "io.modelcontextprotocol/protocolVersion"

/** The only version with batches. */
const batchVersion = "2025-03-26"

export const makeMcpGate = (): McpGate => {
  /** The version of the handshake. */
  let version: string | undefined
  /** The requests without an answer, and of them the handshakes, which the client has an answer to. */
  const open = new Set<Id>()
  const handshakes = new Set<Id>()

  const readHandshake = (id: Id, params: unknown): Read => {
    const [asked, capabilities, client] = ["protocolVersion", "capabilities", "clientInfo"].map((name) =>
      memberOf(params, name)
    )
    const [name, clientVersion] = [memberOf(client, "name"), memberOf(client, "version")]
    const isWhole = isObject(capabilities) && typeof name === "string" && typeof clientVersion === "string"
    if (typeof asked !== "string" || !isWhole)
      return { answer: errorOf(invalidParams, "protocolVersion, capabilities and clientInfo are required", id) }
    const elicitation = memberOf(capabilities, "elicitation")
    const modes = isObject(elicitation) ? ["form", "url"].filter((mode) => isObject(elicitation[mode])) : []
    version = versionFor(asked, modes.includes("url"))
    open.add(id)
    handshakes.add(id)
    const result = { protocolVersion: version, capabilities: { tools: {} }, serverInfo, instructions }
    const known = {
      protocolVersion: version,
      // Nothing else of them is used.
      capabilities: isObject(elicitation) ? { elicitation: Object.fromEntries(modes.map((mode) => [mode, {}])) } : {},
      clientInfo: { name, version: clientVersion }
    }
    return {
      message: { jsonrpc: "2.0", id, method: "initialize", params: known },
      answer: { jsonrpc: "2.0", id, result }
    }
  }

  const readRequest = ({ method, params }: Message, id: Id | undefined, inBatch: boolean): Read => {
    const message = { jsonrpc: "2.0", ...(id !== undefined && { id }), method, ...(isObject(params) && { params }) }
    if (id === undefined) {
      const cancelled = method === "notifications/cancelled" ? idIn(memberOf(params, "requestId")) : undefined
      if (cancelled !== undefined) open.delete(cancelled)
      return { message }
    }
    const isVersioned = memberOf(memberOf(params, "_meta"), versionKey) !== undefined
    if (inBatch && (isVersioned || method === "initialize")) return invalid("this request is none for a batch", id)
    if (open.has(id)) return invalid("the id is that of a request without an answer", id)
    if (method === "initialize" && !isVersioned) return readHandshake(id, params)
    if (version === undefined && !isVersioned && method !== "ping")
      return invalid("initialize comes before other requests", id)
    open.add(id)
    return { message }
  }

  const readOne = (given: unknown, inBatch = false): Read => {
    if (!isObject(given)) return invalid("a message is a JSON object")
    const { error, jsonrpc, method, params, result } = given
    const id = idIn(given["id"])
    if (method === undefined && (result !== undefined || error !== undefined)) return readResponse(given, id)
    if (jsonrpc !== "2.0") return invalid('jsonrpc is not "2.0"', id)
    if (Object.hasOwn(given, "id") && id === undefined) return invalid("the id is no text and no whole number")
    if (typeof method !== "string") return invalid("the method is no text", id)
    const isStructured = params === undefined || params === null || isObject(params)
    return isStructured ? readRequest(given, id, inBatch) : invalid("params is no JSON object", id)
  }

  const readBatch = (batch: ReadonlyArray<unknown>): ReadLine => {
    if (version !== batchVersion) return inLine(invalid("this version of the protocol has no batches"))
    if (batch.length === 0) return inLine(invalid("the batch is empty"))
    const all = batch.map((one) => readOne(one, true))
    const [messages, answers] = [all.flatMap(({ message }) => message ?? []), all.flatMap(({ answer }) => answer ?? [])]
    return {
      ...(messages.length > 0 && { message: JSON.stringify(messages) }),
      ...(answers.length > 0 && { answer: JSON.stringify(answers) })
    }
  }

  const written = (line: string): string => {
    const given = parsed(line)?.value
    let isCut = false
    const messages = [given].flat().map((one) => {
      if (!isObject(one) || one["method"] !== undefined) return one
      const id = idIn(one["id"])
      if (id !== undefined) open.delete(id)
      if (!isObject(one["error"])) return one
      isCut = line.length > longLine
      return { ...one, error: cutError(one["error"]) }
    })
    const [first] = messages
    if (isObject(first) && first["method"] === undefined && handshakes.delete(idIn(first["id"]) ?? "")) return ""
    return isCut ? `${JSON.stringify(Array.isArray(given) ? messages : first)}\n` : line
  }

  const read = (line: string | undefined): ReadLine => {
    if (line === undefined) return inLine(invalid("the line is too long"))
    if (line.trim() === "") return {}
    const json = parsed(line)
    if (json === undefined) return inLine({ answer: errorOf(parseError, "the line is no JSON") })
    if (isDeeper(json.value, maxDepth)) return inLine(invalid("the line is nested too deeply"))
    return Array.isArray(json.value) ? readBatch(json.value) : inLine(readOne(json.value))
  }
  return { read, written, waiting: () => open.size - handshakes.size }
}

/** Far above what a tool takes, and far below what ends a recursion of the server. */
const maxDepth = 64

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)))

/** A shorter line of the server has no long text of the client in it. */
const longLine = 1000

/** Reads an answer of the client to a request of ours. A damaged one is dropped: nobody waits for an answer to it. */
const readResponse = ({ error, result }: Message, id: Id | undefined): Read => {
  if (id === undefined) return {}
  if (error === undefined) return { message: { jsonrpc: "2.0", id, result } }
  const [code, message, data] = ["code", "message", "data"].map((name) => memberOf(error, name))
  return typeof code === "number" && typeof message === "string"
    ? { message: { jsonrpc: "2.0", id, error: { code, message, ...(data !== undefined && { data }) } } }
    : {}
}

const cutError = (error: Message): Message => {
  const { data, message, ...rest } = error
  const isShort = data !== undefined && JSON.stringify(data).length <= longLine
  return { ...rest, message: typeof message === "string" ? cutLine(message) : message, ...(isShort && { data }) }
}

const inLine = ({ answer, message }: Read): ReadLine => ({
  ...(message !== undefined && { message: JSON.stringify(message) }),
  ...(answer !== undefined && { answer: JSON.stringify(answer) })
})

const invalid = (why: string, id?: Id): Read => ({ answer: errorOf(invalidRequest, why, id) })

const kinds: Readonly<Record<number, string>> = {
  [parseError]: "parse error",
  [invalidRequest]: "invalid request",
  [invalidParams]: "invalid parameters"
}

const errorOf = (code: number, message: string, id: Id | null = null): Message => ({
  jsonrpc: "2.0",
  id,
  error: { code, message: `${kinds[code] ?? ""}: ${message}` }
})

/** Returns an id that can be sent back as it is; undefined for anything else. */
const idIn = (id: unknown): Id | undefined =>
  typeof id === "string" || (typeof id === "number" && Number.isSafeInteger(id)) ? id : undefined

const parsed = (line: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(line) }
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Message =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const memberOf = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined)
