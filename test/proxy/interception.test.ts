/**
 * HTTPS of a client that is sent through the run's own authority: who gets through, and what its certificates allow.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll, beforeEach } from "vitest"
import { createPublicKey, X509Certificate } from "node:crypto"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"
import { makeCertificateAuthority } from "../../src/proxy/certificateAuthority.ts"
import { tunnelTargets } from "../support/proxyAttacks.ts"
import {
  type Answer,
  answerOf,
  newToken,
  routeTo,
  startStub,
  type Stub,
  stubHost,
  TestWorker
} from "../support/proxy.ts"

const value = "hunter22-of-the-stub"
let stub: Stub
let worker: TestWorker
let [token, tunnelToken, run, ca] = ["", "", "", ""]

beforeAll(async () => {
  stub = await startStub((request, response) => response.end(`${request.url} ${request.headers.authorization}`))
  worker = await new TestWorker().listen()
})
afterAll(() => {
  worker.close()
  stub.close()
})
beforeEach(() => {
  stub.requests.length = 0
  ;[token, tunnelToken] = [newToken(), newToken()]
  ;({ ca, run } = worker.open([routeTo(stub, token, { intercept: true })], tunnelToken))
})

/** Sends a CONNECT, and returns its answer and the connection. */
const connect = (target: string, credentials?: string) =>
  new Promise<{ readonly head: string; readonly socket: net.Socket }>((done, fail) => {
    const socket = net.connect(worker.socket)
    const header = credentials === undefined ? "" : `Proxy-Authorization: Basic ${btoa(credentials)}\r\n`
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${header}\r\n`)
    socket.once("data", (head: Buffer) => done({ head: head.toString(), socket }))
    socket.once("error", fail)
  })

const target = () => `${stubHost}:${stub.port}`

const ask = async (headers: http.OutgoingHttpHeaders = {}, options: tls.ConnectionOptions = {}): Promise<Answer> => {
  const { socket } = await connect(target(), `run:${tunnelToken}`)
  const secure = tls.connect({ socket, servername: stubHost, ca, ...options })
  secure.on("error", () => undefined)
  const request = https.request({ createConnection: () => secure, path: "/a", headers: { host: target(), ...headers } })
  request.end()
  return answerOf(request)
}

/** Begins a handshake of TLS 1.2, in which alerts are not encrypted yet. */
const clientHello = Buffer.from(
  `160301003f0100003b0303${"11".repeat(32)}000002c02b01000010000a000400020017000d000400020403`,
  "hex"
)
const unknownCaAlert = Buffer.from("15030300020230", "hex")

describe("interception", () => {
  it("puts the value into a request with the placeholder, and into one without a credential", async () => {
    for (const headers of [{}, { authorization: `Bearer ${token}` }]) {
      const { body, status } = await ask(headers)
      assert.deepStrictEqual([status, body], [200, `/a Bearer ${"*".repeat(value.length)}`])
      assert.strictEqual(stub.requests.at(-1)?.headers.authorization, `Bearer ${value}`)
    }
  })

  it("refuses another credential, in any place that services know", async () => {
    const others = [
      { authorization: "Bearer other" },
      { authorization: `Bearer ${newToken()}` },
      { "x-api-key": "other" },
      { private_token: "x" }
    ]
    for (const headers of others) {
      const asked = await ask(headers)
      assert.deepStrictEqual([asked.status, asked.headers["x-secrets-proxy"]], [403, "foreign_credential"])
    }
    assert.strictEqual(stub.requests.length, 0)
    assert.isTrue(
      worker.messages.some((one) => one.type === "notable" && one.run === run && one.what === "foreign_credential")
    )
  })

  it("asks for the token where there is none, and refuses others", async () => {
    const { head, socket } = await connect(target())
    assert.match(head, /^HTTP\/1\.1 407 .*\r\n[^]*proxy-authenticate: Basic/i)
    socket.destroy()
    for (const credentials of [`run:${newToken()}`, "a:b", `run:${token}`]) {
      const refused = await connect(target(), credentials)
      assert.match(refused.head, /^HTTP\/1\.1 403 /)
      refused.socket.destroy()
    }
  })

  it("leads to the hosts of the run alone", async () => {
    for (const other of tunnelTargets) {
      const { head, socket } = await connect(other, `run:${tunnelToken}`)
      assert.match(head, /^HTTP\/1\.1 403 .*\(connect\)/, other)
      socket.destroy()
    }
  })

  it("answers a CONNECT without a length", async () => {
    const { head, socket } = await connect(target(), `run:${tunnelToken}`)
    assert.strictEqual(head, "HTTP/1.1 200 Connection established\r\n\r\n")
    socket.destroy()
  })

  it("takes no request for another host", async () => {
    const asked = await ask({ host: "other.test" })
    assert.deepStrictEqual([asked.status, asked.headers["x-secrets-proxy"]], [421, "host"])
    const named = await ask({}, { servername: "other.test", checkServerIdentity: () => undefined })
    assert.strictEqual(named.status, 421)
    assert.strictEqual(stub.requests.length, 0)
  })

  it("counts clients that reject the authority", async () => {
    const { socket } = await connect(target(), `run:${tunnelToken}`)
    socket.write(clientHello)
    await new Promise((done) => void socket.once("data", done))
    socket.end(unknownCaAlert)
    const count = () => {
      worker.receive({ type: "report", id: 9 })
      const reported = worker.messages.findLast((message) => message.type === "reported")
      return reported?.runs.find((one) => one.run === run)?.totals[0]?.unknownCa ?? 0
    }
    while (count() === 0) await new Promise(setImmediate)
    assert.isTrue(
      worker.messages.some(
        (one) => one.type === "notable" && one.run === run && one.what === "unknown_ca" && one.host === stubHost
      )
    )
  })

  it("ends with the run", async () => {
    const { socket } = await connect(target(), `run:${tunnelToken}`)
    const closed = new Promise((done) => socket.on("close", done))
    worker.receive({ type: "close", run, why: "test" })
    await closed
    const { head } = await connect(target(), `run:${tunnelToken}`)
    assert.match(head, /^HTTP\/1\.1 403 .*\(run_ended\)/)
  })
})

describe("the authority of a run", () => {
  const now = Date.now()
  const authority = makeCertificateAuthority(["api.test", "127.0.0.1"], now, now + 3_600_000)
  const root = new X509Certificate(authority.pem)
  const leaf = new X509Certificate(authority.leafOf("api.test").cert)

  it("makes certificates of its hosts", () => {
    assert.isTrue(root.ca)
    assert.isTrue(root.verify(root.publicKey))
    assert.isFalse(leaf.ca)
    assert.isTrue(leaf.verify(root.publicKey))
    assert.isTrue(leaf.checkIssued(root))
    assert.strictEqual(leaf.subjectAltName, "DNS:api.test")
    assert.strictEqual(new X509Certificate(authority.leafOf("127.0.0.1").cert).subjectAltName, "IP Address:127.0.0.1")
    assert.isAtMost(Date.parse(root.validTo), now + 3_600_000)
    assert.strictEqual(createPublicKey(authority.leafOf("api.test").key).asymmetricKeyType, "ec")
  })

  it("makes a leaf for another host that no client accepts", async () => {
    const narrow = makeCertificateAuthority(["api.test"], now, now + 3_600_000)
    for (const [host, expected] of [
      ["api.test", "accepted"],
      ["evil.test", "rejected"],
      ["127.0.0.1", "rejected"]
    ] as const) {
      const server = tls.createServer({ ...narrow.leafOf(host) }, (socket) => socket.end())
      server.on("tlsClientError", () => undefined)
      await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done))
      const { port } = server.address() as net.AddressInfo
      const outcome = await new Promise<string>((done) => {
        const socket = tls.connect({
          port,
          host: "127.0.0.1",
          ca: narrow.pem,
          ...(net.isIP(host) === 0 && { servername: host })
        })
        socket.on("secureConnect", () => done("accepted"))
        socket.on("error", () => done("rejected"))
      })
      server.close()
      assert.strictEqual(outcome, expected, host)
    }
  })
})
