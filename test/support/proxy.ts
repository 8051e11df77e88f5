/**
 * A worker of the proxy in this process, an upstream over TLS on loopback, and clients of the worker's socket. The
 * upstream has certificates of an authority of its own.
 */
import { createHash, randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as path from "node:path"
import type { FromWorker, OpenRoute, ToWorker } from "../../src/domain/proxyMessages.ts"
import { makeCertificateAuthority } from "../../src/proxy/certificateAuthority.ts"
import { ProxyWorker } from "../../src/proxy/ProxyWorker.ts"
import type { Resolve } from "../../src/proxy/upstream.ts"
import { temporaryHome } from "./temporary.ts"

export const stubHost = "api.test"

export interface Stub {
  readonly port: number
  /** The certificate of its authority. */
  readonly ca: string
  /** What it was asked, in turn. */
  readonly requests: Array<http.IncomingMessage>
  /** How many connections it accepted. */
  readonly connections: () => number
  readonly server: https.Server
  readonly close: () => void
}

/** Starts an upstream that has a certificate for a host. */
export const startStub = async (
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  host = stubHost,
  onConnection: (socket: net.Socket) => void = () => undefined
): Promise<Stub> => {
  const authority = makeCertificateAuthority([host], Date.now(), Date.now() + 3_600_000)
  const requests: Array<http.IncomingMessage> = []
  let connections = 0
  const server = https.createServer({ ...authority.leafOf(host), requestTimeout: 0 }, (request, response) => {
    requests.push(request)
    answer(request, response)
  })
  server.on("secureConnection", (socket) => {
    connections += 1
    socket.on("error", () => undefined)
    onConnection(socket)
  })
  await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done))
  const { port = 0 } = server.address() as net.AddressInfo
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { port, server, ca: authority.pem, requests, connections: () => connections, close }
}

export const newToken = (): string => `asp_${randomBytes(32).toString("base64url")}`
export const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex")

/** A route to a stub, with what a test sets. */
export const routeTo = (
  { ca, port }: Pick<Stub, "ca" | "port">,
  token: string,
  set: Partial<OpenRoute> = {}
): OpenRoute => ({
  name: "stub",
  secret: "stub_token",
  value: "hunter22-of-the-stub",
  upstream: { host: stubHost, port, path: "" },
  inject: { kind: "bearer" },
  deny: [],
  clients: undefined,
  intercept: false,
  websocket: false,
  mask: true,
  placeholder: "",
  private: true,
  ca: undefined,
  caPem: ca,
  limits: { inFlight: 64, body: undefined, headerTimeout: 900_000, idle: 900_000 },
  preset: undefined,
  tokenHash: hashOf(token),
  rules: [],
  ...set
})

/** Resolves every name to this machine. */
export const toLoopback: Resolve = ((_host: string, _options: object, callback: any) =>
  process.nextTick(callback, null, [{ address: "127.0.0.1", family: 4 }])) as Resolve

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly headers: http.IncomingHttpHeaders
  readonly raw: ReadonlyArray<string>
  readonly body: string
}

export class TestWorker {
  readonly messages: Array<FromWorker> = []
  readonly worker: ProxyWorker
  readonly socket: string
  private readonly directory: string
  private runs = 0

  constructor(resolve: Resolve = toLoopback) {
    this.directory = temporaryHome()
    this.socket = path.join(this.directory, "p.sock")
    this.worker = new ProxyWorker({
      resolve,
      send: (message) => {
        this.messages.push(message)
        if ("id" in message && message.type !== "reported") this.worker.receive({ type: "recorded", id: message.id })
      }
    })
  }

  async listen(): Promise<this> {
    this.worker.receive({ type: "listen", paths: [this.socket] })
    while (!this.messages.some(({ type }) => type === "listening")) await new Promise(setImmediate)
    return this
  }

  /** Opens a run, and returns its name and its CA. */
  open(routes: ReadonlyArray<OpenRoute>, connectToken?: string): { readonly run: string; readonly ca: string } {
    this.runs += 1
    const run = `run-${this.runs}`
    const connectHash = connectToken === undefined ? undefined : hashOf(connectToken)
    this.receive({ type: "open", run, client: "test", expires: Date.now() + 3_600_000, routes, connectHash })
    const opened = this.messages.findLast((message) => message.type === "opened")
    return { run, ca: opened?.ca ?? "" }
  }

  receive(message: ToWorker): void {
    this.worker.receive(message)
  }

  request(options: http.RequestOptions, body?: string | Buffer): http.ClientRequest {
    const request = http.request({ socketPath: this.socket, agent: false, setHost: false, ...options })
    request.end(body)
    return request
  }

  /** Sends a request with a token in `Authorization`, and returns the whole answer. */
  ask(token: string, options: http.RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
    const headers = { host: "127.0.0.1:1", authorization: `Bearer ${token}`, ...(options.headers as object) }
    return answerOf(this.request({ ...options, headers }, body))
  }

  /** Sends bytes as they are, and returns all that comes back until the connection ends. */
  raw(text: string | Buffer, millis = 2000): Promise<string> {
    return new Promise((done, fail) => {
      const socket = net.connect(this.socket, () => socket.write(text))
      const pieces: Array<Buffer> = []
      const timer = setTimeout(() => socket.destroy(), millis)
      socket.on("data", (piece) => pieces.push(piece))
      socket.on("error", (error) => (pieces.length === 0 ? fail(error) : undefined))
      socket.on("close", () => {
        clearTimeout(timer)
        done(Buffer.concat(pieces).toString("latin1"))
      })
    })
  }

  close(): void {
    for (let run = 1; run <= this.runs; run += 1) this.receive({ type: "close", run: `run-${run}`, why: "test" })
    this.worker.stopListening()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}

export const answerOf = (request: http.ClientRequest): Promise<Answer> =>
  new Promise((done, fail) => {
    request.on("error", fail)
    request.on("response", (response) => {
      const pieces: Array<Buffer> = []
      response.on("data", (piece: Buffer) => pieces.push(piece))
      response.on("error", fail)
      response.on("end", () =>
        done({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? "",
          headers: response.headers,
          raw: response.rawHeaders,
          body: Buffer.concat(pieces).toString("latin1")
        })
      )
    })
  })
