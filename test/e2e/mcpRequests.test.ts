/**
 * A secret that is missing: a client asks for it, and the person stores it in a terminal or on the
 * page, in a real browser where there is one. The value comes into no line of the client.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import { chromium, openBrowser } from "../harness/browser.ts"
import { leaveOut } from "../harness/clients.ts"
import { auditOf } from "../harness/daemon.ts"
import { type McpClientUnderTest, openMcp, scopedMcp } from "../harness/mcpClient.ts"
import { shellWords } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { openTerminal } from "../harness/terminal.ts"
import { formsIn } from "../support/leaks.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually } from "../support/waiting.ts"

const daemon = sharedDaemon({ there: "made-up-already" })
const value = "made-up value of a person / 9Zt"
const urls = { elicitation: { form: {}, url: {} } }

/** One client that opens addresses: a start costs far more than a request. */
let client: McpClientUnderTest
beforeAll(async () => {
  client = await openMcp({ home: daemon().home, capabilities: urls, protocolVersion: "2025-06-18" })
})
afterAll(() => {
  client.child.kill("SIGKILL")
  return client.ended
})

const request = (client: McpClientUnderTest, name: string, more: object = {}) =>
  client.call("request_secret", { name, why: "for a test", ...more })

/** Asks for a secret by a client that opens addresses, and returns the question that it gets. */
const askedToOpen = (client: McpClientUnderTest, name: string, more: object = {}) => {
  const question = client.received("elicitation/create")
  const answer = request(client, name, { wait_seconds: 50, ...more })
  return Effect.map(
    Effect.promise(() => question),
    ({ id, params }) => {
      client.send({ id, result: { action: "accept" } })
      return { answer, url: String(params.url), message: String(params.message), elicitationId: params.elicitationId }
    }
  )
}

const valueOf = (name: string) =>
  Effect.map(daemon().call("secrets.lease", { secret_name: name, client_id: "test" }), ({ result }) => result.value)

const noLineHasIt = (client: McpClientUnderTest) =>
  assert.deepStrictEqual(formsIn(Buffer.from([...client.lines, client.stderr()].join("\n")), value), [])

describe("a missing secret", () => {
  it("is asked for in the newer protocol, also of a client that names the older one and can open an address", () => {
    assert.strictEqual(JSON.parse(client.lines[0] ?? "").result.protocolVersion, "2025-11-25")
  })

  it.live("is stored in a terminal, which offers what clients wait for", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const client = yield* scopedMcp({ home })
      assert.deepInclude(yield* Effect.promise(() => request(client, "there")), { status: "exists" })
      const first = yield* Effect.promise(() => request(client, "deploy_token"))
      assert.deepInclude(first, {
        status: "pending",
        instructions: "Ask the person to run, in a terminal of their own: secrets add deploy_token. Then call again"
      })
      const again = yield* Effect.promise(() => request(client, "deploy_token"))
      assert.strictEqual(again.request_id, first.request_id)
      const waiting = request(client, "deploy_token", { wait_seconds: 50 })
      const terminal = openTerminal(`${shellWords} add`, home)
      yield* Effect.promise(() => terminal.shows("Which one (1-1): "))
      terminal.type("1\n")
      yield* Effect.promise(() => terminal.shows("(not shown): "))
      terminal.type(`${value}\n`)
      const { shown, status } = yield* Effect.promise(() => terminal.ended)
      assert.strictEqual(status, 0, shown)
      assert.include(shown, "1  deploy_token  for test")
      assert.include(shown, ": for a test")
      assert.deepInclude(yield* Effect.promise(() => waiting), { status: "stored", name: "deploy_token" })
      assert.deepInclude(yield* Effect.promise(() => request(client, "deploy_token")), { status: "exists" })
      noLineHasIt(client)
      const actions = auditOf(daemon().directory).map(({ action }) => action)
      assert.include(actions, "request_open")
    })
  )

  it.live("is stored on the page that a client opens, and one that does not work is replaced", () =>
    Effect.gen(function* () {
      const { answer, elicitationId, message, url } = yield* askedToOpen(client, "there", { replace: true })
      const completed = client.received("notifications/elicitation/complete")
      const page = yield* Effect.promise(() => fetch(url).then((response) => response.text()))
      assert.include(page, message.slice(-5, -1))
      const { status } = yield* Effect.promise(() =>
        fetch(url, { method: "POST", body: new URLSearchParams({ value }) })
      )
      assert.strictEqual(status, 200)
      assert.deepInclude(yield* Effect.promise(() => answer), { status: "stored" })
      assert.strictEqual((yield* Effect.promise(() => completed)).params.elicitationId, elicitationId)
      assert.strictEqual(yield* valueOf("there"), value)
      noLineHasIt(client)
    })
  )

  it.live("is declined by the person, also without a handshake", () =>
    Effect.gen(function* () {
      const question = client.received("elicitation/create")
      const answer = request(client, "unwanted")
      const { id } = yield* Effect.promise(() => question)
      client.send({ id, result: { action: "decline" } })
      assert.deepInclude(yield* Effect.promise(() => answer), { status: "declined" })

      const _meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": urls,
        "io.modelcontextprotocol/clientInfo": { name: "modern", version: "1" }
      }
      const given = { name: "there", why: "for a test", replace: true }
      const params = { name: "request_secret", arguments: given, _meta }
      const asked = yield* Effect.promise(() => client.ask("tools/call", params))
      const { inputRequests, requestState } = asked.result
      assert.strictEqual(asked.result.resultType, "input_required")
      assert.match(inputRequests.secret.params.url, /^http:\/\/127\.0\.0\.1:\d+\/r\//)
      const accepted = { ...params, inputResponses: { secret: { action: "accept" } } }
      const forged = yield* Effect.promise(() =>
        client.ask("tools/call", { ...accepted, requestState: `${requestState}x` })
      )
      assert.include(forged.result.content[0].text, "invalid_arguments")
      const waited = yield* Effect.promise(() => client.ask("tools/call", { ...accepted, requestState }))
      assert.strictEqual(waited.result.structuredContent.status, "pending")
      const elsewhere = { ...accepted, arguments: { ...given, name: "another" }, requestState }
      assert.include(
        JSON.stringify(yield* Effect.promise(() => client.ask("tools/call", elsewhere))),
        "invalid_arguments"
      )
      const { url } = inputRequests.secret.params
      yield* Effect.promise(() => fetch(url, { method: "POST", body: new URLSearchParams({ value }) }))
      const done = yield* Effect.promise(() => client.ask("tools/call", { ...accepted, requestState }))
      assert.strictEqual(done.result.structuredContent.status, "stored")
    })
  )

  const inBrowser = "is typed into the page in a real browser, and no other site can post to it"
  it.live(inBrowser, () =>
    Effect.gen(function* () {
      const browserProgram = chromium ?? ""
      if (browserProgram === "") return leaveOut("chromium", inBrowser)
      const profile = yield* temporaryDirectory
      const browser = yield* Effect.acquireRelease(
        Effect.promise(() => openBrowser(browserProgram, profile)),
        ({ close }) => Effect.sync(close)
      )
      const { answer, message, url } = yield* askedToOpen(client, "typed_token")
      // A page of another site posts to the address, which it cannot know.
      const evil = yield* Effect.acquireRelease(
        Effect.callback<http.Server>((resume) => {
          const form = `<form method="post" action="${url}"><input name="value" value="evil"></form><script>document.forms[0].submit()</script>`
          const server = http.createServer((_, response) => {
            response.setHeader("content-type", "text/html")
            response.end(form)
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const evilPort = (evil.address() as { port: number }).port
      yield* Effect.promise(() => browser.open(`http://localhost:${evilPort}/`))
      const postedText = Effect.promise(() =>
        browser.run(`location.href === ${JSON.stringify(url)} && document.body.innerText`)
      )
      assert.strictEqual(yield* eventually(postedText, (text) => typeof text === "string"), "Not here.")
      // A name of another site that leads here.
      const rebound = yield* Effect.promise(() => browser.open(url.replace("127.0.0.1", "localhost")))
      assert.strictEqual(rebound, "Not here.")
      const shown = yield* Effect.promise(() => browser.open(url))
      assert.include(shown, "typed_token")
      assert.include(shown, message.slice(-5, -1))
      assert.strictEqual(yield* Effect.promise(() => browser.run("document.querySelector('input').type")), "password")
      yield* Effect.promise(() =>
        browser.run(
          `document.querySelector("input").value = ${JSON.stringify(value)}; document.querySelector("button").click()`
        )
      )
      assert.deepInclude(yield* Effect.promise(() => answer), { status: "stored" })
      assert.strictEqual(yield* valueOf("typed_token"), value)
      // A second use.
      yield* Effect.promise(() => browser.open(url))
      assert.notInclude(String(yield* Effect.promise(() => browser.run("document.body.innerText"))), "typed_token")
      noLineHasIt(client)
    })
  )
})
