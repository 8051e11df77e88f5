/**
 * Clients beside those of docs/proxy.md, at a base URL and intercepted, all under one `exec`: the libraries and package managers
 * of test/clients, Deno, Bun and what the system has. What is not installed is left out, by name.
 *
 * The upstream wants the value in its slot and no placeholder anywhere.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import type * as http from "node:http"
import * as path from "node:path"
import { installed, leaveOut, otherName, runProgram, selfSigned, stubServer } from "../harness/clients.ts"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { shellWords } from "../harness/program.ts"
import { packed, packument } from "../support/npmPackage.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const value = "value-of-the-token-2b8d"
const other = otherName()
const modules = path.join(import.meta.dirname, "../clients/node_modules")
const nodeTakesProxies = Number(process.versions.node.split(".")[0]) >= 24

/** Returns the first program in the packages of a scope: npm installs that of this system. */
const inScope = (scope: string, file: string): string | undefined =>
  (fs.existsSync(scope) ? fs.readdirSync(scope) : [])
    .map((name) => path.join(scope, name, file))
    .find((one) => fs.existsSync(one))

/** Accepts a WebSocket, sends a text and closes it. */
const acceptSocket = ({ headers }: http.IncomingMessage): Buffer => {
  const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
  const accept = crypto.createHash("sha1").update(key).digest("base64")
  const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.of(0x81, 2), Buffer.from("me"), Buffer.of(0x88, 0)])
}

const delta = (text: string) => ({
  choices: [{ delta: { content: text } }],
  type: "content_block_delta",
  delta: { text }
})

/** By the path: the text "me" in two events, a list of pages, a package, or who it is. */
const answer = (request: http.IncomingMessage, response: http.ServerResponse): void => {
  const { pathname, searchParams } = new URL(request.url ?? "", "https://upstream")
  const origin = `https://${request.headers.host}`
  const json = (body: unknown) => void response.setHeader("content-type", "application/json").end(JSON.stringify(body))
  if (/^\/v1\/(chat|messages)/.test(pathname)) {
    const name = pathname.endsWith("/messages") ? "event: content_block_delta\n" : ""
    const [first, second] = ["m", "e"].map((text) => `${name}data: ${JSON.stringify(delta(text))}\n\n`)
    response.setHeader("content-type", "text/event-stream").write(first)
    return void response.end(name === "" ? `${second}data: [DONE]\n\n` : second)
  }
  if (pathname === "/pages") {
    const page = Number(searchParams.get("page") ?? 1)
    if (page < 3) response.setHeader("link", `<${origin}/pages?page=${page + 1}>; rel="next"`)
    return json([page])
  }
  if (pathname.endsWith(".tgz")) return void response.end(packed)
  json(/^\/@me(\/|%2f)private$/i.test(pathname) ? packument(origin) : { login: "me" })
}

/** Asks for "me" with each library, in the way that its documentation has it, and prints how that went. */
const libraries = `
import * as http from "node:http"
import * as https from "node:https"
import { Octokit as Core } from "@octokit/core"
import { paginateRest } from "@octokit/plugin-paginate-rest"
import Anthropic from "@anthropic-ai/sdk"
import axios from "axios"
import got from "got"
import OpenAI from "openai"
import Stripe from "stripe"
import WS from "ws"
const [way, base, key] = process.argv.slice(2)
const { hostname: host, port, protocol } = new URL(base)
const headers = { authorization: "Bearer " + key }
const messages = [{ role: "user", content: "hello" }]
const text = async (stream, of) => (await Array.fromAsync(stream, of)).join("")
const stripe = (httpClient) => new Stripe(key, { host, port, protocol: protocol.slice(0, -1), maxNetworkRetries: 0, httpClient })
const socketAt = base.replace("http", "ws") + "/ws"
const firstMessage = (socket) => new Promise((done, fail) => {
  socket.onmessage = ({ data }) => done(data)
  socket.onerror = fail
})
const clients = {
  fetch: async () => (await (await fetch(base + "/user", { headers })).json()).login,
  "node:http": () => new Promise((done, fail) =>
    (protocol === "http:" ? http : https).get(base + "/user", { headers }, (got) => got.resume().on("end", () => done("me"))).on("error", fail)),
  WebSocket: () => firstMessage(new WebSocket(socketAt, { headers })),
  ws: () => firstMessage(new WS(socketAt, { headers })),
  axios: async () => (await axios.get(base + "/user", { headers })).data.login,
  got: async () => (await got(base + "/user", { headers, retry: { limit: 0 } }).json()).login,
  octokit: async () => {
    const octokit = new (Core.plugin(paginateRest))({ auth: key, baseUrl: base })
    return (await octokit.paginate("GET /pages")).join() === "1,2,3" ? "me" : "some pages"
  },
  stripe: async () => (await stripe().balance.retrieve()).login,
  "stripe-fetch": async () => (await stripe(Stripe.createFetchHttpClient()).balance.retrieve()).login,
  openai: async () => text(
    await new OpenAI({ apiKey: key, baseURL: base + "/v1", maxRetries: 0 }).chat.completions.create({ model: "m", stream: true, messages }),
    ({ choices: [choice] }) => choice.delta.content
  ),
  anthropic: async () => text(
    await new Anthropic({ authToken: key, apiKey: null, baseURL: base, maxRetries: 0 }).messages.create({ model: "m", max_tokens: 9, stream: true, messages }),
    ({ delta }) => delta?.text ?? ""
  )
}
for (const [name, ask] of Object.entries(clients)) {
  const said = await ask().catch(() => "fails")
  console.log(name + ", " + way + ": " + said)
}
process.exit()`

/** The same for a runtime, with what it has itself. */
const runtime = `
const [name, base, key, caught, caughtKey] = process.argv.slice(2)
for (const [way, url, token] of [["plain", base, key], ["caught", caught, caughtKey]]) {
  const answer = await fetch(url + "/user", { headers: { authorization: "Bearer " + token } })
  console.log(name + ", " + way + ": " + (await answer.json()).login)
}`

const python = `
import aiohttp, asyncio, os, sys
async def ask(way, base, key):
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.ws_connect(base + "/ws", headers={"Authorization": "Bearer " + key}) as socket:
            print("aiohttp, WebSocket, " + way + ": " + (await socket.receive()).data)
asyncio.run(ask(*sys.argv[1:]))`

interface Client {
  /** What has to be there for it. */
  readonly needs: ReadonlyArray<string | undefined>
  readonly what: string
  /** Lines of shell; ADDRESS is what is intercepted. */
  readonly lines: ReadonlyArray<string>
  readonly prints: ReadonlyArray<string>
}

const has = (file: string): string | undefined => (fs.existsSync(file) ? file : undefined)
const deno = inScope(path.join(modules, "@deno"), "deno")
const bun = inScope(path.join(import.meta.dirname, "../../scripts/bun/node_modules/@oven"), "bin/bun")
const pnpm = has(path.join(modules, "pnpm/bin/pnpm.cjs"))
const yarn = has(path.join(modules, "@yarnpkg/cli-dist/bin/yarn.js"))
const hasAiohttp = Effect.map(
  runProgram("/usr/bin/python3", ["-c", "import aiohttp"], { env: {}, cwd: "/" }),
  ({ status }) => (status === 0 ? "aiohttp" : undefined)
)

const both = (name: string): ReadonlyArray<string> => [`${name}, plain: me`, `${name}, caught: me`]
/** Installs the package in a folder of its own. */
const install = (name: string, command: string) =>
  `mkdir ${name} && (cd ${name} && echo '{"name":"x","version":"1.0.0"}' > package.json && ${command} > out 2>&1 && echo "${name}, caught: me" || cat out)`

const ways = "$API_BASE_URL $API_API_KEY ADDRESS $CAUGHT_API_KEY"
const everyLibrary = "fetch node:http WebSocket ws axios got octokit stripe stripe-fetch openai anthropic".split(" ")
/** They have an Agent of their own. */
const goesDirect = ["ws", "stripe"]

const clients = Effect.map(hasAiohttp, (aiohttp): ReadonlyArray<Client> => [
  {
    what: "npm ci --ignore-scripts --prefix test/clients",
    needs: [has(path.join(modules, "@octokit/core"))],
    lines: [
      "node libraries.mjs plain $API_BASE_URL $API_API_KEY",
      ...(nodeTakesProxies ? ["node libraries.mjs caught ADDRESS $CAUGHT_API_KEY"] : [])
    ],
    prints: everyLibrary.flatMap((name) => [
      `${name}, plain: me`,
      ...(nodeTakesProxies ? [`${name}, caught: ${goesDirect.includes(name) ? "fails" : "me"}`] : [])
    ])
  },
  { what: "deno", needs: [deno], lines: [`${deno} run -A runtime.mjs deno ${ways}`], prints: both("deno") },
  { what: "bun", needs: [bun], lines: [`${bun} runtime.mjs bun ${ways}`], prints: both("bun") },
  {
    what: "wget",
    needs: [installed("wget")],
    lines: [
      `echo "ca_certificate=$SSL_CERT_FILE" > wgetrc`,
      `WGETRC=wgetrc wget -qO- ADDRESS/user > got && test "$(cat got)" = '{"login":"me"}' && echo "wget, caught: me"`
    ],
    prints: ["wget, caught: me"]
  },
  {
    what: "curl",
    needs: [installed("curl")],
    lines: [
      'curl -fsS --unix-socket "$GH_CONFIG_DIR/../gh.sock" -H "Authorization: token $GH_ENTERPRISE_TOKEN" http://localhost/user > got',
      `test "$(cat got)" = '{"login":"me"}' && echo "curl, socket: me"`
    ],
    prints: ["curl, socket: me"]
  },
  {
    what: "python3-aiohttp",
    needs: [aiohttp],
    lines: [
      "/usr/bin/python3 sockets.py plain $API_BASE_URL $API_API_KEY",
      "/usr/bin/python3 sockets.py caught ADDRESS $CAUGHT_API_KEY"
    ],
    prints: both("aiohttp, WebSocket")
  },
  {
    what: "pnpm",
    needs: [pnpm],
    lines: [install("pnpm", `node ${pnpm} add @me/private`)],
    prints: ["pnpm, caught: me"]
  },
  {
    what: "yarn",
    needs: [yarn],
    lines: [install("yarn", `node ${yarn} add @me/private`)],
    prints: ["yarn, caught: me"]
  },
  { what: "bun", needs: [bun], lines: [install("bun-add", `${bun} add @me/private`)], prints: ["bun-add, caught: me"] }
])

describe("the proxy", () => {
  it.live("works with libraries, runtimes and package managers, at a base URL and intercepted", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const openssl = installed("openssl")
        if (openssl === undefined || other === undefined)
          return leaveOut(
            "openssl, and another name of loopback in /etc/hosts",
            "libraries, runtimes and package managers"
          )
        const directory = yield* temporaryDirectory
        const certificate = yield* selfSigned(openssl, directory, [other.name])
        const wrong: Array<string> = []
        const isRight = ({ headers, method, rawHeaders, url }: http.IncomingMessage): boolean => {
          const right = headers.authorization === `Bearer ${value}` && !`${url}${rawHeaders.join()}`.includes("asp_")
          if (!right) wrong.push(`${method} ${url} ${headers["user-agent"]}`)
          return right
        }
        const { port, server } = yield* stubServer(
          (request, response) =>
            isRight(request) ? answer(request, response) : void response.writeHead(401).end("{}"),
          certificate,
          other.address
        )
        server.on("upgrade", (request: http.IncomingMessage, socket) => {
          socket.on("error", () => undefined)
          socket.end(isRight(request) ? acceptSocket(request) : "HTTP/1.1 401 No\r\n\r\n")
        })
        const caught = `https://${other.name}:${port}`
        const common = { secret: "token", upstream: caught, private: true, ca: certificate.file }
        const routes = {
          api: { ...common, websocket: true, upstream: `https://localhost:${port}` },
          github: { ...common, preset: "github", upstream: `https://localhost:${port}` },
          caught: { ...common, intercept: true, websocket: true, paths: ["/user", "/ws", "/pages", "/v1/**"] },
          packages: { ...common, intercept: true, preset: "npm", paths: ["/@me/**", "/@me%2f*", "/@me%2F*"] }
        }
        const home = yield* temporaryDirectory
        fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
        fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ proxy: { routes } }))
        const daemon = yield* startDaemon({ home })
        yield* rpc(daemon.socket, "add", { name: "token", value })
        const there = (yield* clients).filter(({ needs, what }) => {
          const isThere = needs.every((one) => one !== undefined)
          if (!isThere) leaveOut(what, "a client of the proxy")
          return isThere
        })
        for (const [name, text] of Object.entries({
          "libraries.mjs": libraries,
          "runtime.mjs": runtime,
          "sockets.py": python
        }))
          fs.writeFileSync(path.join(home, name), text)
        if (fs.existsSync(modules)) fs.symlinkSync(modules, path.join(home, "node_modules"))
        const script = there.flatMap(({ lines }) => lines.map((line) => line.replaceAll("ADDRESS", caught))).join("\n")
        fs.writeFileSync(path.join(home, "clients.sh"), script)
        const command = `exec ${shellWords} exec --proxy ${Object.keys(routes).join()} -- sh clients.sh`
        const env = {
          HOME: home,
          PATH: `${path.dirname(process.execPath)}:/usr/bin:/bin`,
          AGENT_SECRETS_SOCKET: daemon.socket
        }
        const { stderr, stdout } = yield* runProgram("/bin/sh", ["-c", command], { env, cwd: home })
        const printed = stdout.trimEnd().split("\n").toSorted()
        assert.deepStrictEqual(printed, there.flatMap(({ prints }) => prints).toSorted(), stderr)
        assert.deepStrictEqual(wrong, [])
        assert.notInclude(stdout + stderr, value)
      })
    )
  )
})
