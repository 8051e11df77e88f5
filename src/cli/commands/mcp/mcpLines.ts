/**
 * The lines of a client, as the server gets them: each a JSON object, or a batch of them. A line that is
 * neither is dropped, and the next one is answered.
 */

/** A longer line is dropped. It takes the largest value, and a program's input. */
export const maxMcpLine = 8 * 1024 * 1024

/** Splits chunks into lines. The rest of a line that is too long is skipped. */
export const makeLineSplitter = (limit = maxMcpLine): ((chunk: string) => ReadonlyArray<string>) => {
  let [rest, isSkipping] = ["", false]
  return (chunk) => {
    const [first = "", ...others] = chunk.split("\n")
    if (others.length === 0) {
      if (!isSkipping) rest += first
      if (rest.length > limit) [rest, isSkipping] = ["", true]
      return []
    }
    const lines = [isSkipping ? "" : rest + first, ...others.slice(0, -1)]
    rest = others.at(-1) ?? ""
    isSkipping = rest.length > limit
    if (isSkipping) rest = ""
    return lines.map((line) => (line.length > limit ? "" : line))
  }
}

/** Returns the line for the server; undefined for one that is no message. */
export const readMcpLine = (line: string): string | undefined => {
  const message = parsed(line)
  const isMessage = Array.isArray(message) ? message.every(isObject) : isObject(message)
  if (!isMessage) return undefined
  return asksForOlderVersion(message) ? JSON.stringify(withNewerVersion(message)) : line
}

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

interface InitializeMessage {
  readonly params: { readonly protocolVersion: string }
}

/**
 * Returns whether a client of 2025-06-18 can open an address for a person. That version of the protocol has no word for
 * it, so the adapter would drop it; such clients accept the next version as the answer.
 */
const asksForOlderVersion = (message: unknown): message is InitializeMessage => {
  const [method, params] = ["method", "params"].map((name): unknown => Reflect.get(Object(message), name))
  const [version, capabilities] = ["protocolVersion", "capabilities"].map((name): unknown =>
    Reflect.get(Object(params), name)
  )
  const elicitation: unknown = Reflect.get(Object(capabilities), "elicitation")
  return method === "initialize" && version === "2025-06-18" && isObject(Reflect.get(Object(elicitation), "url"))
}

const withNewerVersion = (message: InitializeMessage) => ({
  ...message,
  params: { ...message.params, protocolVersion: "2025-11-25" }
})
