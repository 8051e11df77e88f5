/**
 * The page that takes a secret answers its own form once, and nobody else's.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as http from "node:http"
import * as net from "node:net"
import { openPage } from "../../../../src/cli/commands/mcp/secretPage.ts"

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/** Sends a request with exactly these headers; undefined if nobody listens. */
const send = (url: string, options: http.RequestOptions = {}, body = ""): Effect.Effect<Answer | undefined> =>
  Effect.callback<Answer | undefined>((resume) => {
    const request = http.request(url, { agent: false, ...options }, (response) => {
      let text = ""
      response.on("data", (piece) => (text += piece))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
      )
    })
    request.once("error", () => resume(Effect.succeed(undefined)))
    request.end(body)
  })

const answerOf = (answer: Effect.Effect<Answer | undefined>) =>
  Effect.map(answer, (one) => one ?? { status: 0, headers: {}, text: "" })

const statusOf = (answer: Effect.Effect<Answer | undefined>) => Effect.map(answer, (one) => one?.status)

const opened = (problem?: string) => {
  const stored: Array<string> = []
  const store = (value: string) => Effect.sync(() => (stored.push(value), problem))
  const asked = { name: "a<b>", client: 'c"&\u202e', why: "<script>alert(1)</script>", store }
  return Effect.map(
    Effect.acquireRelease(openPage(asked), ({ close }) => Effect.sync(close)),
    (page) => {
      const { origin } = new URL(page.url)
      const post = (body: string, headers: http.OutgoingHttpHeaders = { origin, "sec-fetch-site": "same-origin" }) =>
        send(page.url, { method: "POST", headers }, body)
      return { page, origin, post, stored }
    }
  )
}

describe("the page", () => {
  it.effect("shows who asks for what, with the code and nothing that runs", () =>
    Effect.gen(function* () {
      const { page } = yield* opened()
      const answer = yield* answerOf(send(page.url))
      assert.strictEqual(answer.status, 200)
      assert.match(page.url, /^http:\/\/127\.0\.0\.1:\d+\/r\/[\w-]{22}$/)
      assert.include(answer.text, `<b>${page.code}</b>`)
      assert.match(page.code, /^\d{4}$/)
      assert.include(answer.text, "a&lt;b&gt;")
      assert.include(answer.text, "c&quot;&amp;\ufffd")
      assert.notInclude(answer.text, "<script")
      assert.deepInclude(answer.headers, {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff"
      })
      for (const rule of ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"]) {
        assert.include(String(answer.headers["content-security-policy"]), rule)
      }
    })
  )

  it.effect("takes one value, and closes", () =>
    Effect.gen(function* () {
      const { page, post, stored } = yield* opened()
      assert.strictEqual(yield* statusOf(post("value=")), 400)
      const value = "päss wörd&=+%"
      assert.strictEqual(yield* statusOf(post(new URLSearchParams({ value }).toString())), 200)
      assert.deepStrictEqual(stored, [value])
      assert.isUndefined(yield* post("value=again"))
      assert.isFalse(page.isOpen())
    })
  )

  it.effect("can be tried again if the value was not stored", () =>
    Effect.gen(function* () {
      const { post, stored } = yield* opened("the store is locked")
      const answer = yield* answerOf(post("value=one"))
      assert.strictEqual(answer.status, 409)
      assert.include(answer.text, "It was not stored: the store is locked.")
      assert.notInclude(answer.text, "one")
      assert.strictEqual(yield* statusOf(post("value=two")), 409)
      assert.deepStrictEqual(stored, ["one", "two"])
    })
  )

  it.effect("refuses another name that leads to it, and the forms and frames of other sites", () =>
    Effect.gen(function* () {
      const { origin, page, post, stored } = yield* opened()
      const { host, port } = new URL(page.url)
      for (const headers of [
        { host: `evil.example:${port}` },
        { host: `localhost:${port}` },
        { host: "127.0.0.1" },
        { host: `${host}.evil.example` },
        { host, origin: "http://evil.example" },
        { host, origin: "null" },
        { host, origin: `http://localhost:${port}` },
        { host, origin, "sec-fetch-site": "cross-site" },
        { host, origin: "null", "sec-fetch-site": "cross-site" },
        { host, "sec-fetch-site": "same-site" }
      ]) {
        assert.strictEqual(yield* statusOf(post("value=x", headers)), 403, JSON.stringify(headers))
        assert.strictEqual(yield* statusOf(send(page.url, { headers })), 403, JSON.stringify(headers))
      }
      assert.strictEqual(yield* statusOf(send(page.url, { method: "PUT" })), 405)
      assert.deepStrictEqual(stored, [])
      // Under no-referrer, a browser sends this with the form of the page itself.
      assert.strictEqual(
        yield* statusOf(post("value=x", { host, origin: "null", "sec-fetch-site": "same-origin" })),
        200
      )
    })
  )

  it.effect("closes after five wrong paths", () =>
    Effect.gen(function* () {
      const { origin, page } = yield* opened()
      for (const path of ["/", "/r/", page.url.slice(origin.length, -1), `${page.url.slice(origin.length)}?x`]) {
        assert.strictEqual(yield* statusOf(send(origin, { path })), 404)
      }
      assert.strictEqual(yield* statusOf(send(page.url)), 200)
      assert.strictEqual(yield* statusOf(send(origin, { path: "/x" })), 404)
      assert.isUndefined(yield* send(page.url))
    })
  )

  it.effect("is there for ten minutes", () =>
    Effect.gen(function* () {
      const { page, post } = yield* opened()
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* statusOf(send(page.url)), 200)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(yield* post("value=late"))
    })
  )

  it.effect("takes no body above a value's, and survives what is not HTTP", () =>
    Effect.gen(function* () {
      const { page, post, stored } = yield* opened()
      yield* post(`value=${"x".repeat(4 * 1024 * 1024)}`)
      for (const bytes of [
        "\0\0\0",
        "GET / HTTP/9\r\n\r\n",
        "POST /r/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "x".repeat(99_999)
      ]) {
        yield* Effect.callback<void>((resume) => {
          const socket = net.connect(Number(new URL(page.url).port), "127.0.0.1", () => socket.end(bytes))
          socket.on("error", () => undefined)
          socket.resume().once("close", () => resume(Effect.void))
        })
      }
      assert.deepStrictEqual(stored, [])
      assert.strictEqual(yield* statusOf(send(page.url)), 200)
    })
  )
})
