/**
 * The servers that clients reach: the plain door, and one for each intercepted host of a run. Both lead every
 * request through the same steps.
 */
import * as http from "node:http"
import type { Duplex } from "node:stream"
import { setTimeout } from "node:timers"
import { createServer as createTlsServer, type Server as TlsServer, TLSSocket } from "node:tls"
import type { ProxyRequest, Door } from "./admit.ts"
import type { Leaf } from "./certificateAuthority.ts"
import { Refusal, refusalText } from "./refusals.ts"

/** An upgrade that a client asks for. */
export interface Upgrade {
  readonly protocol: string
  readonly socket: Duplex
  readonly head: Buffer
}

export interface DoorRequest {
  readonly facts: ProxyRequest
  readonly request: http.IncomingMessage
  readonly response: http.ServerResponse
  readonly upgrade: Upgrade | undefined
  /** Whether the client waits for a word before it sends the body. */
  readonly waits: boolean
}

export interface DoorHandlers {
  readonly onRequest: (request: DoorRequest) => void
  readonly onConnect: (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Called for bytes that are no request. */
  readonly onMalformed: (door: Door) => void
}

const options = {
  insecureHTTPParser: false,
  requireHostHeader: false,
  maxHeaderSize: 64 * 1024,
  headersTimeout: 60_000,
  // A body of any size takes its time.
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
  noDelay: true
} as const

/** Makes the server of base URLs and of the sockets. Connections are given to it. */
export const plainDoor = (handlers: DoorHandlers): http.Server =>
  withHandlers(http.createServer(options), { kind: "plain" }, handlers)

/** Makes the server of an intercepted host. */
export const interceptedDoor = (
  door: Extract<Door, { kind: "intercepted" }>,
  leaf: Leaf,
  handlers: DoorHandlers,
  onUnknownCa: () => void
): TlsServer => {
  const inner = withHandlers(http.createServer(options), door, handlers)
  // In Bun, an https server takes a connection that it is given for a plain one.
  const server = createTlsServer({ ...leaf, ALPNProtocols: ["http/1.1"], minVersion: "TLSv1.2" })
  const note = (error: Error) => {
    if ("code" in error && unknownCa.test(String(error.code))) onUnknownCa()
  }
  server.on("tlsClientError", note)
  // In TLS 1.3 a client rejects the certificate after the handshake is done for us.
  server.on("secureConnection", (socket) => {
    socket.on("error", note)
    inner.emit("connection", socket)
  })
  return server
}

/** The alerts of a client that rejects the certificate. */
const unknownCa = /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN)/

const withHandlers = (server: http.Server, door: Door, handlers: DoorHandlers): http.Server => {
  const facts = (request: http.IncomingMessage): ProxyRequest => ({
    door,
    method: request.method ?? "",
    target: request.url ?? "",
    version: request.httpVersion,
    headers: request.rawHeaders,
    upgrade: undefined,
    serverName: serverNameOf(request.socket)
  })
  const answer = (waits: boolean) => (request: http.IncomingMessage, response: http.ServerResponse) => {
    const upgrade = upgradeIn(request)
    if (upgrade !== undefined) response.shouldKeepAlive = false
    handlers.onRequest({ facts: { ...facts(request), upgrade }, request, response, upgrade: undefined, waits })
  }
  server.on("request", answer(false))
  server.on("checkContinue", answer(true))
  server.on("upgrade", (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy())
    if (isAnswering(socket)) return void socket.destroy()
    const protocol = request.headers.upgrade ?? ""
    const response = responseOn(request, socket)
    handlers.onRequest({
      facts: { ...facts(request), upgrade: protocol },
      request,
      response,
      upgrade: { protocol, socket, head },
      waits: false
    })
  })
  server.on("connect", (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy())
    if (isAnswering(socket)) return void socket.destroy()
    if (door.kind === "plain") handlers.onConnect(request, socket, head)
    else endWith(socket, new Refusal("connect", "a tunnel leads to no other one"))
  })
  server.on("clientError", (error: Error, socket: Duplex) => {
    handlers.onMalformed(door)
    const code = "code" in error ? error.code : ""
    const [status, text] =
      code === "HPE_HEADER_OVERFLOW"
        ? [431, "the headers have more than 64 KiB"]
        : code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? [408, "the request did not come in time"]
          : [400, "the request is not well-formed"]
    if (!socket.writable || hasAnswered(socket)) socket.destroy()
    else endWith(socket, new Refusal("request", text, status))
  })
  return server
}

/** So long may a client that is refused go on sending. */
const lingerFor = 1000

/** Ends a connection with a refusal. A client that still sends would lose it if the connection broke at once. */
export const endWith = (socket: Duplex, refusal: Refusal): void => {
  const timer = setTimeout(() => socket.destroy(), lingerFor)
  socket.once("close", () => clearTimeout(timer))
  // Instead of the parser, which would find fault with each further piece.
  socket.removeAllListeners("data").on("data", () => undefined)
  socket.end(refusalText(refusal))
}

/** Returns whether an answer is on its way: another one would stand in the middle of it. */
const isAnswering = (socket: Duplex): boolean =>
  "_httpMessage" in socket && socket._httpMessage instanceof http.ServerResponse

/** Returns whether an answer has begun, of which the client would take another one for a part. */
const hasAnswered = (socket: Duplex): boolean =>
  "_httpMessage" in socket && socket._httpMessage instanceof http.ServerResponse && socket._httpMessage.headersSent

/** Returns the protocol of an upgrade behind another request, which Bun takes for a request. */
const upgradeIn = ({ headers: { connection = "", upgrade } }: http.IncomingMessage): string | undefined =>
  /(^|,)\s*upgrade\s*(,|$)/i.test(connection) ? upgrade : undefined

/** Returns the name that a client asked for in its handshake. */
const serverNameOf = (socket: unknown): string | undefined =>
  socket instanceof TLSSocket && "servername" in socket && typeof socket.servername === "string"
    ? socket.servername
    : undefined

/** Makes an answer on a connection that asks for an upgrade. */
const responseOn = (request: http.IncomingMessage, socket: Duplex): http.ServerResponse => {
  const response = new http.ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  response.on("finish", () => socket.end())
  return response
}
