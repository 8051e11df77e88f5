/**
 * Attacks by a program that has a placeholder: none reaches the upstream, and none gets the value.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import type * as dns from "node:dns"
import * as net from "node:net"
import { attacks } from "../support/proxyAttacks.ts"
import { newToken, routeTo, startStub, type Stub, stubHost, TestWorker, toLoopback } from "../support/proxy.ts"
import { connectUpstream, type Resolve } from "../../src/proxy/upstream.ts"
import { isPrivateAddress } from "../../src/proxy/privateAddress.ts"

let stub: Stub
let worker: TestWorker
const token = newToken()

beforeAll(async () => {
  stub = await startStub((_request, response) => response.end("reached"))
  worker = await new TestWorker().listen()
  worker.open([routeTo(stub, token)])
})
afterAll(() => {
  worker.close()
  stub.close()
})

describe("an attack", () => {
  for (const { bytes, statuses, what } of attacks) {
    it(`that is ${JSON.stringify(what)} is refused`, async () => {
      const answer = await worker.raw(bytes.replaceAll("TOKEN", token))
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
      assert.include(statuses, Number(status), answer)
      assert.notMatch(answer, /access-control/i)
      assert.match(answer, /^x-secrets-proxy: \w+/m)
      assert.strictEqual(stub.requests.length, 0)
    })
  }

  it("is told why while it still sends", async () => {
    for (const bytes of ["GET / HTTP/1.1\nHost: x\n", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n"]) {
      const socket = net.connect({ path: worker.socket, allowHalfOpen: true })
      const errors: Array<Error> = []
      socket.on("error", (error) => errors.push(error))
      const answered = new Promise((done) => void socket.once("data", done))
      socket.write(bytes)
      assert.match(String(await answered), /^HTTP\/1\.1 40[07] secrets: /)
      for (let more = 0; more < 20; more += 1) await new Promise<unknown>((done) => void socket.write("more\r\n", done))
      const closed = new Promise((done) => void socket.once("close", done))
      socket.end()
      await closed
      assert.deepStrictEqual(errors, [])
    }
  })

  it("judges each request of a connection", async () => {
    const good = `GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`
    const answer = await worker.raw(`${good}GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    assert.deepStrictEqual(answer.match(/HTTP\/1\.1 \d{3}/g), ["HTTP/1.1 200", "HTTP/1.1 403"])
    assert.strictEqual(stub.requests.length, 1)
    stub.requests.length = 0
  })
})

describe("the address of an upstream", () => {
  it("is not a private one, whatever form it has", () => {
    const inside =
      "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 ::1 :: fe80::1 " +
      "fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:a00:1 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1 100::1 fec0::1 x"
    assert.deepStrictEqual(
      inside.split(" ").filter((address) => !isPrivateAddress(address)),
      []
    )
    const outside = "140.82.121.6 1.1.1.1 2606:4700:4700::1111 2a00:1450:4001:800::200a"
    assert.deepStrictEqual(outside.split(" ").filter(isPrivateAddress), [])
  })

  const ask = async (resolve: Resolve, host = stubHost) => {
    const other = await new TestWorker(resolve).listen()
    try {
      other.open([routeTo(stub, token, { private: false, upstream: { host, port: stub.port, path: "" } })])
      const asked = await other.ask(token)
      const noted = other.messages.some((one) => one.type === "notable" && one.what === "address")
      return [asked.status, asked.headers["x-secrets-proxy"], noted]
    } finally {
      other.close()
    }
  }

  it("is checked when it is connected to, so a name server gains nothing by another answer", async () => {
    const before = stub.connections()
    assert.deepStrictEqual(await ask(toLoopback), [403, "address", true])
    let answers = 0
    const changing = ((_host: string, _options: object, callback: any) => {
      answers += 1
      callback(null, [{ address: answers === 1 ? "192.0.2.1" : "127.0.0.1", family: 4 }])
    }) as typeof dns.lookup
    // A check beside the connection would have had the first answer.
    changing("api.test", {}, () => undefined)
    assert.deepStrictEqual(await ask(changing), [403, "address", true])
    const mixed = ((_host: string, _options: object, callback: any) =>
      callback(null, [
        { address: "1.1.1.1", family: 4 },
        { address: "127.0.0.1", family: 4 }
      ])) as typeof dns.lookup
    assert.deepStrictEqual(await ask(mixed), [403, "address", true])
    assert.deepStrictEqual(await ask(toLoopback, "127.0.0.1"), [403, "address", true])
    assert.deepStrictEqual(await ask(toLoopback, "[::1]"), [403, "address", true])
    assert.strictEqual(stub.connections(), before)
  })

  it("must prove its name before a byte is sent", async () => {
    const other = newToken()
    worker.open([routeTo(stub, other, { upstream: { host: "another.test", port: stub.port, path: "" } })])
    const asked = await worker.ask(other)
    assert.deepStrictEqual([asked.status, asked.headers["x-secrets-proxy"]], [502, "upstream"])
    assert.match(asked.reason, /certificate/)
    const unknown = newToken()
    worker.open([routeTo(stub, unknown, { caPem: undefined })])
    assert.strictEqual((await worker.ask(unknown)).status, 502)
    assert.strictEqual(stub.requests.length, 0)
  })

  it("has connections of its own for each run", () => {
    const route = routeTo(stub, token)
    assert.notStrictEqual(connectUpstream(route).pool, connectUpstream(route).pool)
  })
})
