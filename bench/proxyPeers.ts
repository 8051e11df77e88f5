/**
 * What the benchmark of the proxy runs beside the worker, each in a process of its own: an upstream over TLS, and
 * a bare proxy on node:http and undici, which judges, masks and counts nothing.
 */
import { spawn } from "node:child_process"
import * as http from "node:http"
import * as https from "node:https"
import { fileURLToPath } from "node:url"
import { type Dispatcher, Pool } from "undici"
import { makeCertificateAuthority } from "../src/proxy/certificateAuthority.ts"

export const peerHost = "localhost"

export interface UpstreamPeer {
  readonly port: number
  readonly ca: string
}

/** Starts a peer, and provides what it prints when it listens. */
export const withPeer = async <A>(args: ReadonlyArray<string>, use: (printed: string) => Promise<A>): Promise<A> => {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  try {
    const printed = await new Promise<string>((done) =>
      child.stdout.once("data", (piece: Buffer) => done(piece.toString()))
    )
    return await use(printed)
  } finally {
    child.kill("SIGKILL")
  }
}

/** Reads a whole answer, and calls back with each piece. */
export const read = (
  pool: Dispatcher,
  target: string,
  token: string,
  onPiece: (piece: Buffer) => void = () => undefined
) =>
  new Promise<void>((done, fail) => {
    pool.dispatch(
      { path: target, method: "GET", headers: { host: "127.0.0.1", authorization: `Bearer ${token}` } },
      {
        onRequestStart: () => undefined,
        onResponseStart: (controller, status) => {
          if (status !== 200) controller.abort(new Error(`status ${status}`))
        },
        onResponseData: (_controller, piece) => onPiece(piece),
        onResponseEnd: () => done(),
        onResponseError: (_controller, error) => fail(error)
      }
    )
  })

const small = Buffer.alloc(1024, "x")
const large = Buffer.alloc(256 * 1024, "some text that is no secret, over and over again; ")

/** Sends the small answer, so many bytes, or an event every few milliseconds with the time of its writing. */
const answer = (request: http.IncomingMessage, response: http.ServerResponse): void => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "https://host")
  if (pathname === "/bytes") {
    let left = Number(searchParams.get("count"))
    const more = () => {
      while (left > 0) {
        left -= large.length
        if (!response.write(large)) return void response.once("drain", more)
      }
      response.end()
    }
    return more()
  }
  if (pathname === "/events") {
    let left = Number(searchParams.get("count"))
    response.writeHead(200, { "content-type": "text/event-stream" })
    const timer = setInterval(() => {
      response.write(`data: ${process.hrtime.bigint()}\n\n`)
      left -= 1
      if (left > 0) return
      clearInterval(timer)
      response.end()
    }, 5)
    return
  }
  response.setHeader("content-type", "text/plain")
  response.setHeader("content-length", small.length)
  response.end(small)
}

const serveUpstream = (): void => {
  const authority = makeCertificateAuthority([peerHost], Date.now(), Date.now() + 86_400_000)
  const server = https.createServer({ ...authority.leafOf(peerHost), requestTimeout: 0 }, answer)
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" ? address?.port : undefined
    process.stdout.write(JSON.stringify({ port, ca: authority.pem }))
  })
}

const serveBare = (socket: string, port: string, ca: string): void => {
  const pool = new Pool(`https://${peerHost}:${port}`, { connections: 64, allowH2: false, connect: { ca } })
  const server = http.createServer((request, response) => {
    const { authorization = "" } = request.headers
    pool.dispatch(
      { path: request.url ?? "/", method: "GET", headers: { authorization } },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, status, headers) => void response.writeHead(status, headers),
        onResponseData: (controller, piece) => {
          if (response.write(piece)) return
          controller.pause()
          response.once("drain", () => controller.resume())
        },
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy()
      }
    )
  })
  server.listen(socket, () => process.stdout.write("listens"))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kind, socket = "", port = "", ca = ""] = process.argv.slice(2)
  if (kind === "upstream") serveUpstream()
  else serveBare(socket, port, ca)
}
