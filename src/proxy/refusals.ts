/**
 * The answers of the worker itself: refusals, and failures of an upstream. Each is JSON in the form that
 * API clients print, and repeats its text in the reason phrase, which git and npm print alone.
 */
import type { ServerResponse } from "node:http"
import type { ProxyRefusalCode } from "../domain/proxyMessages.ts"

/** By code: the status, and what to do. */
const kinds = {
  request: [400, "Send one well-formed HTTP/1.1 request with one Host"],
  cleartext: [405, "Send the path alone to the base URL of the route, or use https"],
  browser: [403, "Use a client that is no web page: the proxy serves none"],
  no_token: [403, "Send the placeholder that secrets exec --proxy set, in the slot of its route"],
  connect: [403, "Name the route of the host with --proxy, and set intercept for it in config.json"],
  authenticate: [407, "Send the credentials that HTTPS_PROXY has"],
  host: [421, "Send the request to the base URL of the route, or to its own host"],
  route: [403, "Give the routes of one host paths that tell them apart"],
  run_ended: [403, "Start the program again with secrets exec --proxy"],
  foreign_credential: [403, "Send the placeholder of the route, or no credential"],
  method: [403, "Allow it in methods of the route, or use another method"],
  path: [403, "Allow it in paths of the route, or use another path"],
  body: [413, "Send less, or raise limits.body of the route"],
  busy: [429, "Try again when earlier requests of the run are answered"],
  address: [403, "Set private for the route if its upstream is in a private network"],
  upstream: [502, "Try again, and check the upstream of the route"],
  encoding: [502, "Ask for the answer without compression, or without a range"]
} as const satisfies Record<ProxyRefusalCode, readonly [status: number, fix: string]>

export class Refusal {
  readonly code: ProxyRefusalCode
  readonly status: number
  /** Without the prefix. It names nothing but settings and what the client sent in its first line. */
  readonly message: string
  readonly fix: string

  constructor(code: ProxyRefusalCode, message: string, status: number = kinds[code][0]) {
    this.code = code
    this.status = status
    this.message = message
    this.fix = kinds[code][1]
  }
}

/** What a client can try again as it is. */
const passing: ReadonlyArray<ProxyRefusalCode> = ["busy", "upstream"]

export interface RefusalOptions {
  /** npm prints an `error` that is an object as "[object Object]". */
  readonly isNpm: boolean
  readonly masked: (text: string) => string
}

const refusalHeaders = ({ code }: Refusal): Record<string, string> => ({
  "content-type": "application/json",
  "x-secrets-proxy": code,
  "x-should-retry": String(passing.includes(code)),
  ...(code === "busy" && { "retry-after": "1" }),
  ...(code === "authenticate" && { "proxy-authenticate": 'Basic realm="secrets"' })
})

const refusalBody = ({ code, fix, message }: Refusal, { isNpm, masked }: RefusalOptions): string => {
  const text = masked(`secrets: ${message}`)
  const error = isNpm ? text : { message: text, type: "secrets_proxy", code, fix }
  return `${JSON.stringify({ message: text, error })}\n`
}

/** Returns the reason phrase; nothing in it can end the line. */
const refusalReason = ({ code, message }: Refusal, { masked }: Pick<RefusalOptions, "masked">): string =>
  masked(`secrets: ${message} (${code})`).replaceAll(/[^\x20-\x7e]/g, "?")

/** Answers with a refusal, or breaks the connection if another answer has begun. */
export const sendRefusal = (response: ServerResponse, refusal: Refusal, options: RefusalOptions): void => {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = refusalBody(refusal, options)
  for (const [name, value] of Object.entries(refusalHeaders(refusal))) response.setHeader(name, value)
  response.setHeader("content-length", Buffer.byteLength(body))
  response.statusMessage = refusalReason(refusal, options)
  response.statusCode = refusal.status
  response.end(body)
}

/** Returns a whole answer, for a connection that carries no HTTP yet. */
export const refusalText = (refusal: Refusal): string => {
  const options = { isNpm: false, masked: (text: string) => text }
  const body = refusalBody(refusal, options)
  const headers = { ...refusalHeaders(refusal), "content-length": String(Buffer.byteLength(body)), connection: "close" }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${refusal.status} ${refusalReason(refusal, options)}\r\n${lines.join("")}\r\n${body}`
}
