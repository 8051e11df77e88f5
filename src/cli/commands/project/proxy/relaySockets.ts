/**
 * What a relay does with two sockets: copies both ways, or answers in place of the worker.
 */
import type * as net from "node:net"

/** Copies both ways until both have ended. One that breaks off resets the other. */
export const join = (client: net.Socket, far: net.Socket): void => {
  const breakOff = () => {
    far.destroy()
    // It has all of the answer. A reset during its shutdown fails, and leaves the socket open for ever.
    if (client.writableEnded) client.destroySoon()
    // There is no reset on a Unix socket.
    else if (client.remoteAddress === undefined) client.destroy()
    else client.resetAndDestroy()
  }
  far.on("error", breakOff)
  client.on("error", breakOff)
  client.pipe(far)
  far.pipe(client)
}

export interface OwnAnswer {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly fix: string
  readonly headers?: ReadonlyArray<string>
}

/** Writes an answer, and takes what the client still sends: a connection that is closed over unread bytes loses it. */
export const answerClient = (client: net.Socket, { code, fix, headers = [], message, status }: OwnAnswer): void => {
  const body = `${JSON.stringify({ message: `secrets: ${message}`, error: { message, type: "secrets_proxy", code, fix } })}\n`
  const lines = [
    `HTTP/1.1 ${status} secrets: ${message}`,
    ...headers,
    `x-secrets-proxy: ${code}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close"
  ]
  client.end(`${lines.join("\r\n")}\r\n\r\n${body}`)
  client.setTimeout(lingering, () => client.destroy())
  client.resume()
}

/** In milliseconds. */
const lingering = 2_000
