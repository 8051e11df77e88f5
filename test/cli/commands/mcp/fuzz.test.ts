/**
 * What a hostile client or another site may send, made of random pieces: a line of the client gets one answer or is one
 * message, and the page stores what its own form sends and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import * as net from "node:net"
import { makeMcpGate } from "../../../../src/cli/commands/mcp/mcpGate.ts"
import { openPage } from "../../../../src/cli/commands/mcp/secretPage.ts"
import { randomFrom } from "../../../support/random.ts"

const { below, pick } = randomFrom(20_261_130)
/** What no answer may repeat. */
const marker = "xyzzy"

describe("random lines of a client", () => {
  const signs = ["{", "}", "[", "]", ",", ":", "\\", '"', "\0", "\ud800", " ", "\r"]
  const words = ['"a"', marker, `"${marker}"`, "null", "1e999", '"jsonrpc":"2.0"', '"id":7', '"method":"ping"']
  const values = [null, true, 7, 1.5, -1, "a", marker, {}, [], { [marker]: marker }, [[marker]]]
  const member = (name: string, choices: ReadonlyArray<unknown>) =>
    below(6) === 0 ? {} : { [name]: pick(below(6) === 0 ? values.filter((one) => one !== marker) : choices) }
  const message = (): unknown => ({
    ...member("jsonrpc", ["2.0"]),
    ...member("id", [7, "b", 8]),
    ...member("method", ["ping", "initialize", "tools/call", "notifications/cancelled", marker]),
    ...member("params", [...values, { name: marker, requestId: pick(values) }, { protocolVersion: marker }]),
    ...pick([{}, {}, { result: pick(values) }, { error: pick(values) }, { [marker]: pick(values) }])
  })
  const line = () => {
    if (below(3) === 0) return Array.from({ length: below(20) }, () => pick([...signs, ...words])).join("")
    const text = JSON.stringify(below(4) === 0 ? Array.from({ length: below(4) }, message) : message())
    return below(4) === 0 ? text.slice(0, below(text.length)) + pick(signs) : text
  }

  it.each(["2025-03-26", "2025-11-25", undefined])("have one answer or are a message, in version %s", (version) => {
    const gate = makeMcpGate()
    const clientInfo = { name: "test", version: "1" }
    const params = { protocolVersion: version, capabilities: {}, clientInfo }
    if (version !== undefined) gate.read(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }))
    for (let round = 0; round < 2000; round += 1) {
      const sent = line()
      const { answer, message } = gate.read(sent)
      const passed: ReadonlyArray<any> = message === undefined ? [] : [JSON.parse(message)].flat()
      for (const one of passed) {
        const known = ["error", "id", "jsonrpc", "method", "params", "result"]
        assert.deepStrictEqual([one.jsonrpc, Object.keys(one).filter((key) => !known.includes(key))], ["2.0", []], sent)
        // Its answer frees the id.
        if (one.id !== undefined) gate.written(`${JSON.stringify({ jsonrpc: "2.0", id: one.id, result: {} })}\n`)
      }
      if (answer === undefined) continue
      assert.notMatch(answer, new RegExp(`[\\n]|${marker}`), sent)
      for (const { error, id, jsonrpc } of [JSON.parse(answer)].flat()) {
        assert.strictEqual(jsonrpc, "2.0")
        assert.include([null, 7, 8, -1, "b", "a"], id, sent)
        assert.include([-32700, -32600, -32602], error.code, sent)
        // Two requests of a batch may have the same id.
        if (!sent.startsWith("[")) assert.deepStrictEqual(passed, [], sent)
      }
    }
    assert.strictEqual(gate.waiting(), 0)
  })
})

describe("random requests to the page", () => {
  const statusOf = (port: number, options: http.RequestOptions, body: string) =>
    Effect.callback<number>((resume) => {
      const request = http.request({ agent: false, host: "127.0.0.1", port, ...options }, (response) => {
        response.resume().once("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
      })
      request.once("error", () => resume(Effect.succeed(0)))
      request.end(body)
    })
  /** Sends bytes that may be no request at all, and waits for the end. */
  const sendBytes = (port: number, text: string) =>
    Effect.callback<void>((resume) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.end(text, "latin1"))
      socket.resume().on("error", () => {})
      socket.once("close", () => resume(Effect.void))
    })

  it.effect("store what the form of the page sends, and nothing else", () =>
    Effect.gen(function* () {
      let count = 0
      for (let round = 0; round < 30; round += 1) {
        const stored: Array<string> = []
        const store = (value: string) => Effect.sync(() => void stored.push(value))
        const page = yield* openPage({ name: "a", client: "b", why: "c", store })
        const { host, origin, pathname, port } = new URL(page.url)
        const expected: Array<string> = []
        let wrongPaths = 0
        for (let n = 0; n < 5 && page.isOpen(); n += 1) {
          const token = pathname.slice(3)
          const path = pick([...Array(7).fill(pathname), `${pathname}/`, `/r/${token.toLowerCase()}`, `/${pathname}`])
          const headers = {
            host: pick([host, host, host, host, host, "evil.example", `localhost:${port}`]),
            ...pick([{}, {}, { origin }, { origin }, { origin: "null" }, { origin: "http://evil.example" }]),
            ...pick([{}, {}, { "sec-fetch-site": "same-origin" }, { "sec-fetch-site": "cross-site" }])
          }
          const method = pick(["POST", "POST", "POST", "GET", "PUT", "HEAD"])
          const value = pick(["", "made up", "päss&=+%"])
          if (below(4) === 0) {
            const bytes = Array.from({ length: below(200) }, () => String.fromCharCode(below(256))).join("")
            yield* sendBytes(Number(port), pick(["", `POST ${pathname} HTTP/1.1\r\n`]) + bytes)
          }
          const { host: named, origin: from, "sec-fetch-site": site }: Record<string, string> = headers
          const isOwnOrigin = from === undefined || from === origin || (from === "null" && site === "same-origin")
          const isAllowed = named === host && isOwnOrigin && site !== "cross-site"
          if (isAllowed && path !== pathname) wrongPaths += 1
          const isStored = isAllowed && path === pathname && method === "POST" && value !== ""
          if (isStored) expected.push(value)
          const body = method === "POST" || method === "PUT" ? new URLSearchParams({ value }).toString() : ""
          const status = yield* statusOf(Number(port), { method, path, headers }, body)
          assert.strictEqual(
            status === 200 && method === "POST",
            isStored,
            `${method} ${path} ${JSON.stringify(headers)}`
          )
          if (isStored) assert.isFalse(page.isOpen())
        }
        assert.deepStrictEqual(stored, expected)
        assert.isBelow(wrongPaths, 6)
        count += stored.length
        page.close()
      }
      assert.isAbove(count, 5)
    })
  )
})
