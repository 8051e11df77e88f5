/**
 * The port of a run: which bytes go to the worker, and what it answers itself. The worker is a stand-in.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as path from "node:path"
import { tokenHash } from "../../../../../src/cli/commands/project/proxy/proxyTokens.ts"
import { relayServer } from "../../../../../src/cli/commands/project/proxy/relay.ts"
import { makeTunnel } from "../../../../../src/cli/commands/project/proxy/tunnel.ts"
import { temporaryDirectory } from "../../../../support/temporary.ts"

const listening = (server: net.Server, where: { readonly path: string } | { readonly port: 0 }) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen({ ...where, ...("port" in where && { host: "127.0.0.1" }) }, () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )

/** A server that sends back what it gets after a name, and ends with its client. */
const echo = (name: string) =>
  net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy())
    socket.write(`${name}:`)
    socket.pipe(socket)
  })

/** Sends pieces one after the other, ends, and returns what comes back. */
const exchange = (port: number, ...pieces: ReadonlyArray<string | Buffer>) =>
  Effect.callback<string>((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    const chunks: Array<Buffer> = []
    const [last = "", ...first] = pieces.toReversed()
    const send = () => {
      const piece = first.pop()
      if (piece === undefined) socket.end(last)
      else socket.write(piece, () => setImmediate(send))
    }
    socket.once("connect", send)
    socket.on("data", (chunk) => chunks.push(chunk))
    socket.once("error", ({ message }) => resume(Effect.succeed(message)))
    socket.once("close", () => resume(Effect.succeed(Buffer.concat(chunks).toString("latin1"))))
  })

const token = "asp_connect"
const authorized = `Proxy-Authorization: Basic ${Buffer.from(`run:${token}`).toString("base64")}\r\n`

const setup = Effect.fnUntraced(function* ({
  isAway = false,
  isOver = false,
  environment = {}
}: { isAway?: boolean; isOver?: boolean; environment?: Record<string, string> } = {}) {
  const socket = path.join(yield* temporaryDirectory, "proxy.sock")
  if (!isAway) yield* listening(echo("worker"), { path: socket })
  const elsewhere = yield* listening(echo("elsewhere"), { port: 0 })
  const relay = relayServer({
    socket: () => socket,
    isOver: () => isOver,
    hosts: new Set(["api.stripe.com"]),
    tunnel: makeTunnel(tokenHash(token), environment)
  })
  return { port: yield* listening(relay, { port: 0 }), elsewhere }
})

describe("the port of a run", () => {
  it.live("sends the bytes of a connection to the worker as they are", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* setup()
        const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251))
        for (const pieces of [
          ["GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
          ["CO", "PY / HTTP/1.1\r\n\r\n"],
          [bytes],
          ["CONNECTED / HTTP/1.1\r\n\r\n"]
        ])
          assert.strictEqual(
            yield* exchange(port, ...pieces),
            `worker:${Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString("latin1")}`
          )
      })
    )
  )

  it.live("sends a CONNECT for a host of the run to the worker, whatever its spelling, port and token", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* setup()
        for (const target of ["api.stripe.com:443", "API.Stripe.com:443", "api.stripe.com.:443", "api.stripe.com:22"]) {
          const head = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`
          assert.strictEqual(yield* exchange(port, "CON", head.slice(3, 20), head.slice(20)), `worker:${head}`)
        }
      })
    )
  )

  it.live("sends a CONNECT that is none to the worker, which refuses it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* setup()
        for (const line of ["CONNECT a.example HTTP/1.1", "CONNECT a.example:99999 HTTP/1.1", "CONNECT a b:1 HTTP/1.1"])
          assert.strictEqual(yield* exchange(port, `${line}\r\n\r\n`), `worker:${line}\r\n\r\n`)
      })
    )
  )

  it.live("connects to other hosts itself, with the token alone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { elsewhere, port } = yield* setup()
        const connect = (headers: string) => `CONNECT 127.0.0.1:${elsewhere} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`
        const opened = "HTTP/1.1 200 Connection established\r\n\r\n"
        const through = yield* exchange(port, `${connect(authorized)}at once`, " and later")
        assert.include([`${opened}elsewhere:at once and later`], through)
        const other = `Proxy-Authorization: Basic ${Buffer.from("run:asp_other").toString("base64")}\r\n`
        for (const headers of ["", other, "X: y\r\n"]) {
          const refused = yield* exchange(port, connect(headers))
          assert.match(refused, /^HTTP\/1\.1 407 .*\r\nproxy-authenticate: Basic /)
          assert.notInclude(refused, "elsewhere")
        }
      })
    )
  )

  it.live("says which host it cannot connect to", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* setup()
        const reply = yield* exchange(port, `CONNECT 127.0.0.1:1 HTTP/1.1\r\n${authorized}\r\n`)
        assert.match(reply, /^HTTP\/1\.1 502 secrets: cannot connect to 127\.0\.0\.1:1\r\n/)
      })
    )
  )

  it.live("connects through the proxy that the user has", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const proxy = yield* listening(echo("proxy"), { port: 0 })
        const { port } = yield* setup({ environment: { HTTPS_PROXY: `http://me:p%40ss@127.0.0.1:${proxy}` } })
        const reply = yield* exchange(port, `CONNECT a.example:443 HTTP/1.1\r\n${authorized}\r\nhello`)
        const own = `Proxy-Authorization: Basic ${Buffer.from("me:p@ss").toString("base64")}\r\n`
        assert.strictEqual(reply, `proxy:CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n${own}\r\nhello`)
      })
    )
  )

  it.live("answers 503 while the daemon is away, and 403 after the end of the run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const request = "POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
        const body = "x".repeat(100_000)
        const { port } = yield* setup({ isAway: true })
        const away = yield* exchange(port, request, body)
        assert.match(
          away,
          /^HTTP\/1\.1 503 secrets: .*\r\nretry-after: 1\r\nx-should-retry: true\r\nx-secrets-proxy: restarting\r\n/
        )
        assert.strictEqual(JSON.parse(away.split("\r\n\r\n")[1] ?? "").error.code, "restarting")
        const { port: over } = yield* setup({ isAway: true, isOver: true })
        assert.match(yield* exchange(over, request, body), /^HTTP\/1\.1 403 [^]*x-should-retry: false[^]*"run_ended"/)
      })
    )
  )

  it.live("ends the worker's connection when the client is gone", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const socket = path.join(yield* temporaryDirectory, "proxy.sock")
        const gone = yield* Effect.acquireRelease(
          Effect.sync(() => {
            let resolve = () => {}
            const closed = new Promise<void>((done) => (resolve = done))
            const server = net.createServer((one) => {
              one.on("error", () => undefined)
              one.once("close", resolve)
              one.resume().write("begun")
            })
            return { server, closed }
          }),
          ({ server }) => Effect.sync(() => server.close())
        )
        yield* listening(gone.server, { path: socket })
        const tunnel = makeTunnel("", {})
        const relay = relayServer({ socket: () => socket, isOver: () => false, hosts: new Set(), tunnel })
        const port = yield* listening(relay, { port: 0 })
        const client = net.connect({ port, host: "127.0.0.1" })
        client.write("GET / HTTP/1.1\r\n\r\n")
        client.once("data", () => client.resetAndDestroy())
        yield* Effect.promise(() => gone.closed)
      })
    )
  )
})
