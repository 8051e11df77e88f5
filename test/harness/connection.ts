/**
 * Clients of the daemon's socket: raw lines (`Connection`) and one JSON-RPC call after the
 * other (`Client`). Imports no library, so a process that only sends requests starts fast.
 */
import * as net from "node:net"

/** A connection that sends bytes unchanged and returns lines as they arrive; `undefined` is the end. */
export class Connection {
  private readonly lines: Array<string | undefined> = []
  private readonly waiting: Array<(line: string | undefined) => void> = []
  private rest = ""
  readonly socket: net.Socket

  constructor(socketPath: string) {
    this.socket = net.connect({ path: socketPath, allowHalfOpen: true })
    this.socket.on("error", () => undefined)
    this.socket.on("data", (piece) => {
      const lines = (this.rest + piece.toString("utf8")).split("\n")
      this.rest = lines.pop() ?? ""
      for (const line of lines) this.give(line)
    })
    this.socket.once("close", () => this.give(undefined))
    this.socket.once("end", () => this.give(undefined))
  }

  private give(line: string | undefined): void {
    const next = this.waiting.shift()
    if (next === undefined) this.lines.push(line)
    else next(line)
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  line(): Promise<string | undefined> {
    if (this.lines.length > 0) return Promise.resolve(this.lines.shift())
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  async ask(line: string): Promise<string | undefined> {
    this.send(`${line}\n`)
    return await this.line()
  }
}

/** The line of a request, without its line feed. A method without a group is one of `secrets`. */
export const requestLine = (method: string, params: object): string =>
  JSON.stringify({ jsonrpc: "2.0", method: method.includes(".") ? method : `secrets.${method}`, params, id: 1 })

/** The reply to a request; undefined if the connection broke first. */
export type Answer =
  | { readonly result?: any; readonly error?: { readonly code: number; readonly message: string } }
  | undefined

/** One connection that sends one request after the other. */
export class Client {
  private readonly connection: Connection

  constructor(socketPath: string) {
    this.connection = new Connection(socketPath)
  }

  async ask(method: string, params: object): Promise<Answer> {
    const line = await this.connection.ask(requestLine(method, params))
    return line === undefined ? undefined : JSON.parse(line)
  }

  close(): void {
    this.connection.socket.destroy()
  }
}

/** Whether a daemon answers a status request on a new connection within so many milliseconds. */
export const answers = async (socketPath: string, millis = 60_000): Promise<boolean> => {
  const client = new Client(socketPath)
  const timer = setTimeout(() => client.close(), millis)
  const answer = await client.ask("status", {})
  clearTimeout(timer)
  client.close()
  return answer?.result?.running === true
}
