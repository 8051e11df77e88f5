/**
 * Requests through the worker to an upstream over TLS: what passes, what is refused and what never reaches
 * the upstream.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll, beforeEach } from "vitest"
import * as http from "node:http"
import type { Duplex } from "node:stream"
import * as zlib from "node:zlib"
import type { OpenRoute } from "../../src/domain/proxyMessages.ts"
import { type Answer, newToken, routeTo, startStub, type Stub, stubHost, TestWorker } from "../support/proxy.ts"

const value = "hunter22-of-the-stub"
const plain = { host: "127.0.0.1:1" }

let stub: Stub
let worker: TestWorker
let token: string

/** Answers as the path says. */
const answer = (request: http.IncomingMessage, response: http.ServerResponse): void => {
  const url = new URL(request.url ?? "/", "https://api.test")
  const handler = answers[url.pathname]
  if (handler !== undefined) return handler(request, response, url)
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.rawHeaders }))
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, url: URL) => void

const encodings: Readonly<Record<string, (text: string) => Buffer>> = {
  identity: (text) => Buffer.from(text),
  gzip: (text) => zlib.gzipSync(text),
  "x-gzip": (text) => zlib.gzipSync(text),
  br: (text) => zlib.brotliCompressSync(text),
  deflate: (text) => zlib.deflateSync(text),
  "deflate, gzip": (text) => zlib.gzipSync(zlib.deflateSync(text)),
  zstd: (text) => zlib.zstdCompressSync(text)
}

const answers: Readonly<Record<string, Handler>> = {
  "/echo": (_request, response, url) => {
    const encoding = url.searchParams.get("encoding") ?? "identity"
    const bytes = (encodings[encoding] ?? encodings["identity"])?.(`<${value}>${Buffer.from(value).toString("hex")}`)
    response.setHeader("content-encoding", encoding === "bare" ? "deflate" : encoding)
    response.end(encoding === "bare" ? zlib.deflateRawSync(`<${value}>`) : bytes)
  },
  "/headers": (_request, response) => {
    response.writeHead(
      200,
      `OK ${value}`,
      [
        ["set-cookie", `a=${value}`],
        ["set-cookie", "b=2"],
        ["x-echo", `Bearer ${value}`],
        [`x-${value}`, "1"],
        ["access-control-allow-origin", "*"],
        ["connection", "x-hop"],
        ["x-hop", "1"],
        ["x-secrets-proxy", "busy"]
      ].flat()
    )
    response.end()
  },
  "/part": (_request, response) => {
    response.writeHead(206, { "content-encoding": "gzip", "content-range": "bytes 0-9/20" })
    response.end("0123456789")
  },
  "/broken": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain" })
    response.write("half")
    setImmediate(() => response.destroy())
  },
  "/short": (_request, response) => {
    response.writeHead(200, { "content-length": "100" })
    response.write("half")
    setImmediate(() => response.destroy())
  },
  "/cutgzip": (_request, response) => {
    response.writeHead(200, { "content-encoding": "gzip" })
    response.end(zlib.gzipSync("x".repeat(1000)).subarray(0, 20))
  },
  "/unknown": (_request, response) => {
    response.writeHead(200, { "content-encoding": "compress" })
    response.end("abc")
  },
  "/redirect": (_request, response, url) => {
    response.writeHead(302, {
      location: url.searchParams.get("to") ?? "",
      link: `<https://${stubHost}:${stub.port}/a?page=2>; rel="next"`
    })
    response.end()
  },
  "/hang": (_request, response) => void response.writeHead(200).write("begun")
}

beforeAll(async () => {
  stub = await startStub(answer)
  worker = await new TestWorker().listen()
})
afterAll(() => {
  worker.close()
  stub.close()
})
beforeEach(() => {
  stub.requests.length = 0
  token = newToken()
})

const open = (set: Partial<OpenRoute> = {}) => worker.open([routeTo(stub, token, set)])
const codeOf = ({ headers }: Answer) => headers["x-secrets-proxy"]
const get = (path: string, headers: http.OutgoingHttpHeaders = {}, method = "GET") =>
  worker.ask(token, { path, method, headers })

describe("the slot of a route", () => {
  const slots: ReadonlyArray<[string, Partial<OpenRoute>, (token: string) => http.RequestOptions, string]> = [
    ["bearer", {}, (t) => ({ headers: { authorization: `Bearer ${t}` } }), `authorization|Bearer ${value}`],
    [
      "token, as gh sends it",
      {},
      (t) => ({ headers: { authorization: `token ${t}` } }),
      `authorization|Bearer ${value}`
    ],
    [
      "the password of basic credentials",
      { inject: { kind: "basic", user: "x-access-token" } },
      (t) => ({ headers: { authorization: `Basic ${btoa(`me:${t}`)}` } }),
      `authorization|Basic ${btoa(`x-access-token:${value}`)}`
    ],
    [
      "the user of basic credentials",
      { placeholder: "sk_test_" },
      (t) => ({ headers: { authorization: `Basic ${btoa(`sk_test_${t}:`)}` } }),
      `authorization|Bearer ${value}`
    ],
    [
      "a header with a format",
      { inject: { kind: "header", name: "X-Api-Key", format: "Key {}" } },
      (t) => ({ headers: { "x-api-key": `Key ${t}` } }),
      `X-Api-Key|Key ${value}`
    ],
    [
      "the bearer token of the SDK of Anthropic",
      { inject: { kind: "header", name: "x-api-key", format: "{}" }, preset: "anthropic", placeholder: "sk-ant-" },
      (t) => ({ headers: { authorization: `Bearer sk-ant-${t}` } }),
      `x-api-key|${value}`
    ]
  ]
  for (const [what, set, options, expected] of slots) {
    it(`is ${what}`, async () => {
      open(set)
      const { headers, ...rest } = options(token)
      const { body, status } = await worker.ask("none", { ...rest, headers: { ...(headers as object) } })
      assert.strictEqual(status, 200)
      const sent = pairsIn(stub.requests[0])
      assert.include(sent, expected)
      assert.notInclude(JSON.stringify(sent), token)
      assert.notInclude(body, value)
    })
  }

  it("is a parameter of the query, which then stands there once", async () => {
    open({ inject: { kind: "query", name: "key" } })
    const { status } = await worker.ask("none", {
      path: `/a?x=1&key=${token}&k%65y=other`,
      headers: { authorization: "" }
    })
    assert.strictEqual(status, 200)
    assert.strictEqual(stub.requests[0]?.url, `/a?x=1&key=${value}`)
  })

  const wrong: ReadonlyArray<[string, (token: string) => http.RequestOptions]> = [
    ["another header", (t) => ({ headers: { "x-api-key": t } })],
    ["the query", (t) => ({ path: `/?key=${t}` })],
    ["the path", (t) => ({ path: `/${t}` })],
    ["a cookie", (t) => ({ headers: { cookie: t } })],
    ["a scheme that nobody sends", (t) => ({ headers: { authorization: `Digest ${t}` } })],
    ["a longer text", (t) => ({ headers: { authorization: `Bearer x${t}` } })],
    ["no place", () => ({})]
  ]
  for (const [where, options] of wrong) {
    it(`is not ${where}`, async () => {
      open()
      const asked = await worker.ask("none", { headers: { authorization: "" }, ...options(token) })
      assert.deepStrictEqual(
        [asked.status, codeOf(asked), asked.headers["www-authenticate"]],
        [403, "no_token", undefined]
      )
      assert.strictEqual(stub.requests.length, 0)
    })
  }
})

const pairsIn = (request: http.IncomingMessage | undefined): ReadonlyArray<string> =>
  Array.from(
    { length: (request?.rawHeaders.length ?? 0) / 2 },
    (_, at) => request?.rawHeaders.slice(2 * at, 2 * at + 2).join("|") ?? ""
  )

describe("a refusal", () => {
  it("says what failed in JSON, in a header and in the reason phrase", async () => {
    open({ rules: [{ methods: ["GET"] }] })
    const asked = await get("/", {}, "DELETE")
    assert.strictEqual(asked.status, 403)
    assert.strictEqual(codeOf(asked), "method")
    assert.strictEqual(asked.headers["x-should-retry"], "false")
    assert.match(asked.reason, /^secrets: .*\(method\)$/)
    const { error, message } = JSON.parse(asked.body)
    assert.match(message, /^secrets: /)
    assert.deepStrictEqual(
      [error.message, error.type, error.code, typeof error.fix],
      [message, "secrets_proxy", "method", "string"]
    )
  })

  it("has a string as its error for npm", async () => {
    open({ preset: "npm", rules: [{ methods: ["GET"] }] })
    assert.match(JSON.parse((await get("/", {}, "PUT")).body).error, /^secrets: /)
  })

  it("is reported without the query and without a token in the path", async () => {
    const { run } = open({ rules: [{ paths: ["/a"] }] })
    await get(`/b/${token}?q=${value}`)
    const refused = worker.messages.find((message) => message.type === "refused" && message.run === run)
    assert.deepInclude(refused, { code: "path", method: "GET", path: "/b/*", count: 1, route: "stub" })
  })
})

describe("the headers of a request", () => {
  it("lose what belongs to the connection, before the value is put in", async () => {
    open()
    await get("/", {
      connection: "authorization, x-named, keep-alive",
      "x-named": "1",
      "x-kept": "1",
      te: "trailers",
      "proxy-authorization": "Basic eDp5",
      "x-api-key": "other",
      x_api_key: "other",
      "x-http-method-override": "DELETE",
      forwarded: "for=1"
    })
    const names = pairsIn(stub.requests[0]).map((pair) => pair.split("|")[0]?.toLowerCase())
    for (const name of ["x-named", "te", "proxy-authorization", "x-api-key", "x_api_key", "x-http-method-override"])
      assert.notInclude(names, name)
    assert.includeMembers(names, ["x-kept", "forwarded", "authorization"])
    assert.include(pairsIn(stub.requests[0]), `host|${stubHost}:${stub.port}`)
  })

  it("offer gzip if the client did, and nothing else", async () => {
    open()
    const offered: ReadonlyArray<[http.OutgoingHttpHeaders, string]> = [
      [{ "accept-encoding": "br, gzip" }, "gzip"],
      [{ "accept-encoding": "br" }, "identity"],
      [{ "accept-encoding": "gzip;q=0" }, "identity"],
      [{ "accept-encoding": "gzip", range: "bytes=0-1" }, "identity"],
      [{}, "identity"]
    ]
    for (const [headers, expected] of offered) {
      await get("/", headers)
      assert.strictEqual(stub.requests.at(-1)?.headers["accept-encoding"], expected)
    }
  })
})

describe("an answer", () => {
  for (const encoding of [...Object.keys(encodings), "bare"]) {
    it(`is masked if its encoding is ${encoding}`, async () => {
      open()
      const { body, headers, status } = await get(`/echo?encoding=${encodeURIComponent(encoding)}`)
      assert.strictEqual(status, 200)
      assert.match(body, new RegExp(`^<\\*{${value.length}}>`))
      assert.notInclude(body, Buffer.from(value).toString("hex"))
      assert.notProperty(headers, encoding === "identity" ? "x" : "content-encoding")
    })
  }

  it("has masks in its headers, their names and its reason", async () => {
    const { run } = open()
    const asked = await get("/headers")
    assert.notInclude(JSON.stringify(asked), value)
    assert.deepStrictEqual(asked.headers["set-cookie"], [`a=${"*".repeat(value.length)}`, "b=2"])
    for (const name of ["access-control-allow-origin", "x-hop", "x-secrets-proxy"])
      assert.notProperty(asked.headers, name)
    assert.isTrue(worker.messages.some((one) => one.type === "notable" && one.run === run && one.what === "masked"))
  })

  it("passes as it is where the route masks nothing", async () => {
    open({ mask: false })
    const { body, headers } = await get("/echo?encoding=gzip", { "accept-encoding": "gzip" })
    assert.strictEqual(headers["content-encoding"], "gzip")
    assert.include(zlib.gunzipSync(Buffer.from(body, "latin1")).toString(), value)
  })

  for (const path of ["/part", "/unknown"]) {
    it(`is refused if it cannot be read: ${path}`, async () => {
      open()
      const asked = await get(path)
      assert.deepStrictEqual([asked.status, codeOf(asked)], [502, "encoding"])
    })
  }

  for (const path of ["/broken", "/short", "/cutgzip"]) {
    it(`that breaks off is no clean end: ${path}`, async () => {
      open()
      const failed = await get(path).then(
        () => "ended",
        () => "broken"
      )
      assert.strictEqual(failed, "broken")
    })
  }

  it("names places below the base URL, and leaves others", async () => {
    open()
    const base = "http://127.0.0.1:1"
    const places = [
      [`https://${stubHost}:${stub.port}/x?y#z`, `${base}/x?y#z`],
      ["/x", `${base}/x`],
      ["https://other.test/x", "https://other.test/x"],
      [`http://${stubHost}:${stub.port}/x`, `http://${stubHost}:${stub.port}/x`]
    ] as const
    for (const [to, expected] of places) {
      const { headers } = await get(`/redirect?to=${encodeURIComponent(to)}`)
      assert.deepStrictEqual([headers.location, headers["link"]], [expected, `<${base}/a?page=2>; rel="next"`])
    }
  })

  it("names no place anew at the route's own host", async () => {
    open()
    const { headers } = await get("/redirect?to=/x", { host: `${stubHost}:${stub.port}` })
    assert.strictEqual(headers.location, "/x")
  })
})

describe("an upgrade", () => {
  it("is passed on where the route takes WebSockets, and ends with the run", async () => {
    const { run } = open({ websocket: true })
    stub.server.once("upgrade", (request, socket: Duplex) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nx: ${value}\r\n\r\n`
      )
      socket.write(request.headers.authorization === `Bearer ${value}` ? "hello" : "wrong")
      socket.on("data", (piece: Buffer) => socket.write(piece)).on("error", () => undefined)
    })
    const headers = { ...plain, authorization: `Bearer ${token}`, connection: "Upgrade", upgrade: "websocket" }
    const request = worker.request({ path: "/socket", headers })
    const [response, socket, head] = await new Promise<[http.IncomingMessage, Duplex, Buffer]>(
      (done) => void request.on("upgrade", (...all) => done(all))
    )
    assert.strictEqual(response.headers["x"], "*".repeat(value.length))
    socket.on("error", () => undefined).write(" again")
    let text = head.toString()
    for await (const piece of socket.iterator({ destroyOnReturn: false })) {
      text += String(piece)
      if (text === "hello again") break
    }
    const closed = new Promise((done) => socket.on("close", done))
    worker.receive({ type: "close", run, why: "test" })
    await closed
  })

  it("that the upstream does not take is answered as it answers", async () => {
    open({ websocket: true })
    const headers = { connection: "Upgrade", upgrade: "websocket" }
    assert.strictEqual((await get("/socket", headers)).status, 200)
  })
})

describe("a run", () => {
  it("ends with everything in flight, and refuses later requests", async () => {
    const { run } = open()
    const streams = Array.from({ length: 40 }, () =>
      worker.request({ path: "/hang", headers: { ...plain, authorization: `Bearer ${token}` } })
    )
    await Promise.all(
      streams.map((one) => new Promise((done) => one.on("response", (answer) => answer.once("data", done))))
    )
    const cut = streams.map((one) => new Promise((done) => void one.on("error", () => undefined).on("close", done)))
    worker.receive({ type: "close", run, why: "test" })
    await Promise.all(cut)
    const asked = await get("/")
    assert.deepStrictEqual([asked.status, codeOf(asked)], [403, "run_ended"])
  })

  it("uses a new value in the next request, and masks the old one too", async () => {
    open()
    await get("/")
    worker.receive({ type: "value", secret: "stub_token", value: "a-new-value-99" })
    await get("/")
    assert.strictEqual(stub.requests.at(-1)?.headers.authorization, "Bearer a-new-value-99")
    assert.notInclude((await get("/echo")).body, value)
  })

  it("has a limit of requests in flight", async () => {
    open({ limits: { inFlight: 2, body: undefined, headerTimeout: 1000, idle: 1000 } })
    const streams = [1, 2].map(() =>
      worker.request({ path: "/hang", headers: { ...plain, authorization: `Bearer ${token}` } })
    )
    await Promise.all(streams.map((one) => new Promise((done) => one.on("response", done))))
    const asked = await get("/")
    assert.deepStrictEqual([asked.status, codeOf(asked), asked.headers["x-should-retry"]], [429, "busy", "true"])
    for (const one of streams) one.on("error", () => undefined).destroy()
  })

  it("has a limit of bytes in a request, with and without a length", async () => {
    open({ limits: { inFlight: 2, body: 10, headerTimeout: 1000, idle: 1000 } })
    assert.strictEqual((await worker.ask(token, { method: "POST" }, "x".repeat(11))).status, 413)
    const headers = { ...plain, authorization: `Bearer ${token}`, "transfer-encoding": "chunked" }
    const chunked = http.request({ socketPath: worker.socket, method: "POST", headers, agent: false })
    const status = new Promise((done) => chunked.on("response", ({ statusCode }) => done(statusCode)))
    chunked.on("error", () => undefined).write("x".repeat(11))
    assert.strictEqual(await status, 413)
  })

  it("is counted", async () => {
    const { run } = open()
    await worker.ask(token, { method: "POST", path: "/echo" }, "12345")
    worker.receive({ type: "report", id: 1 })
    const reported = worker.messages.findLast((message) => message.type === "reported")
    const [totals] = reported?.runs.find((one) => one.run === run)?.totals ?? []
    assert.deepInclude(totals, { requests: 1, inFlight: 0, statuses: { "2xx": 1 }, bytesIn: 5, masked: 2 })
  })
})
