/**
 * A proxy in front of a server, whose line can be cut: bytes vanish, connections are reset, or
 * everything arrives later. As a program, it serves in a network namespace, or beside a benchmark:
 *
 *     node lineProxy.ts PORT|SOCKET TARGET [MILLISECONDS]
 */
import { once } from "node:events"
import * as net from "node:net"
import { fileURLToPath } from "node:url"

/** What the line does: "swallow" takes bytes and connections, and nothing arrives; "reset" ends them. */
type Line = "pass" | "swallow" | "reset"

export class Proxy {
  private readonly server: net.Server
  private readonly sockets = new Set<net.Socket>()
  private line: Line = "pass"
  /** How often it was cut: what was open then has lost bytes. */
  private cuts = 0
  /** Where new connections go: the path of a Unix socket. */
  target: string
  /** How long each byte takes, in milliseconds. */
  delay = 0

  constructor(target: string) {
    this.target = target
    this.server = net.createServer((client) => this.accept(client))
  }

  async listen(place: net.ListenOptions): Promise<this> {
    this.server.listen(place)
    await once(this.server, "listening")
    return this
  }

  private accept(client: net.Socket): void {
    client.on("error", () => undefined)
    if (this.line === "reset") return reset(client)
    client.setNoDelay(true)
    const server = this.line === "pass" ? net.connect(this.target) : undefined
    this.join(client, server)
    if (server !== undefined) this.join(server, client)
  }

  private join(from: net.Socket, to: net.Socket | undefined): void {
    const { cuts } = this
    const write = (bytes: Buffer) => {
      if (this.line === "pass" && cuts === this.cuts) to?.write(bytes)
    }
    this.sockets.add(from)
    from.on("error", () => undefined)
    from.on("data", (bytes) => {
      if (this.delay === 0) write(bytes)
      else setTimeout(() => write(bytes), this.delay)
    })
    from.on("close", () => {
      this.sockets.delete(from)
      if (this.line === "pass") to?.destroy()
    })
  }

  cut(how: "swallow" | "reset"): void {
    this.line = how
    this.cuts += 1
    if (how === "reset") for (const socket of this.sockets) reset(socket)
  }

  /** Passes on again. What has lost bytes is reset, or stays silent if it `isForgotten`, as a firewall may forget it. */
  heal(isForgotten = false): void {
    this.line = "pass"
    if (!isForgotten) for (const socket of this.sockets) reset(socket)
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

/** Ends a connection as an error; one of a Unix socket knows no reset. */
const reset = (socket: net.Socket): void =>
  void (socket.remoteAddress === undefined ? socket.destroy() : socket.resetAndDestroy())

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , place = "", target = "", delay = "0"] = process.argv
  const proxy = new Proxy(target)
  proxy.delay = Number(delay)
  const own = { path: place, writableAll: true }
  await proxy.listen(place.startsWith("/") ? own : { port: Number(place), host: "127.0.0.1" })
  process.stdout.write("listens\n")
}
