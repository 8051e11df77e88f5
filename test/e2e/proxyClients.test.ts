/**
 * The clients of docs/proxy.md: the lines of each section run as they stand, against a stub upstream over
 * TLS on loopback that wants the value in its slot and no placeholder anywhere. A client that is not installed is left out, by name.
 *
 * The SDKs are in a package of their own, test/clients, which most machines need not install. `proxyLibraries` has more clients.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import type * as http from "node:http"
import * as path from "node:path"
import {
  basic,
  installed,
  leaveOut,
  otherName,
  passToGit,
  runProgram,
  selfSigned,
  stubServer
} from "../harness/clients.ts"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { shellWords, start } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { blocksOf } from "../support/markdown.ts"
import { packed, packument } from "../support/npmPackage.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const page = "docs/proxy.md"
const [settingsBlock] = blocksOf(page).filter(({ text }) => text.includes('"routes"'))
const documented: Record<string, { secret: string }> = JSON.parse(settingsBlock?.text ?? "").proxy.routes

/** The values in the store, by the names in the settings of the page. */
const values = Object.fromEntries(
  Object.values(documented).map(({ secret }) => [secret, `value-of-${secret.replaceAll("_", "-")}`])
)
const token = values["github_token"] ?? ""

/** What the upstream wants, by the beginning of the path. */
const wanted: ReadonlyArray<readonly [path: RegExp, header: string, value: string]> = [
  [/^\/(api\/v3|user|api\/graphql)/, "authorization", `Bearer ${token}`],
  [/^\/me\/repo/, "authorization", basic("x-access-token", token)],
  [/^\/v1\/(chat|models)/, "authorization", `Bearer ${values["openai_key"]}`],
  [/^\/v1\/messages/, "x-api-key", values["anthropic_key"] ?? ""],
  [/^\/v1beta/, "x-goog-api-key", values["gemini_key"] ?? ""],
  [/^\/(-\/whoami|@me)/, "authorization", `Bearer ${values["npm_token"]}`],
  [/^\/v1\/balance/, "authorization", `Bearer ${values["stripe_key"]}`]
]

/** What was wrong with a request. */
const wrong: Array<string> = []
const seen: Array<string> = []

const judge = (request: http.IncomingMessage): boolean => {
  const { headers, method, url = "" } = request
  seen.push(`${method} ${url}`)
  const [, header = "", value] = wanted.find(([path]) => path.test(url)) ?? []
  const decoded = (headers.authorization ?? "").replace(/^Basic (.*)$/, (_, text) =>
    Buffer.from(text, "base64").toString()
  )
  const hasPlaceholder = [url, decoded, ...request.rawHeaders].some((text) => text.includes("asp_"))
  const isRight = value !== undefined && headers[header] === value && !hasPlaceholder
  if (!isRight) wrong.push(`${method} ${url}: ${hasPlaceholder ? "a placeholder" : `no right ${header}`}`)
  return isRight
}

const json = (response: http.ServerResponse, body: unknown) =>
  void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))

/** What gh asks about its host, and then the issues. */
const graphql = (request: http.IncomingMessage, response: http.ServerResponse) => {
  let query = ""
  request.on("data", (text) => (query += text))
  const issue = { number: 7, title: "made up", state: "OPEN", labels: { nodes: [] }, updatedAt: "2024-01-01T00:00:00Z" }
  const issues = { totalCount: 1, nodes: [issue], pageInfo: { hasNextPage: false, endCursor: "" } }
  request.once("end", () =>
    json(response, {
      data: query.includes("__type") ? { Issue: { fields: [] } } : { repository: { hasIssuesEnabled: true, issues } }
    })
  )
}

/** Sends events one after the other, each when the one before has gone. */
const stream = (response: http.ServerResponse, events: ReadonlyArray<string>) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const [first = "", ...rest] = events
  response.write(first, () => setImmediate(() => (rest.length === 0 ? response.end() : streamRest(response, rest))))
}
const streamRest = (response: http.ServerResponse, [next = "", ...rest]: ReadonlyArray<string>): void => {
  response.write(next, () => setImmediate(() => (rest.length === 0 ? void response.end() : streamRest(response, rest))))
}

const answers: ReadonlyArray<readonly [RegExp, (response: http.ServerResponse) => void]> = [
  [/^\/(api\/v3\/)?user$/, (response) => json(response, { login: "me" })],
  [/^\/v1beta/, (response) => json(response, { models: ["made-up"] })],
  [/^\/v1\/balance/, (response) => json(response, { object: "balance" })],
  [/^\/-\/whoami/, (response) => json(response, { username: "me" })],
  [/^\/@me(\/|%2f)private$/i, (response) => json(response, packument("https://registry.npmjs.org"))],
  [/\.tgz$/, (response) => void response.writeHead(200).end(packed)],
  [
    /^\/v1\/chat/,
    (response) =>
      stream(response, [
        'data: {"choices":[{"delta":{"content":"made "}}]}\n\n',
        'data: {"choices":[{"delta":{"content":"up"}}]}\n\n',
        "data: [DONE]\n\n"
      ])
  ],
  [
    /^\/v1\/messages/,
    (response) =>
      stream(response, [
        'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"made up"}}\n\n',
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
      ])
  ]
]

const other = otherName()
const openssl = installed("openssl")
const git = installed("git") ?? ""
const stub = { settings: {} as object, root: "", port: 0, interceptPort: 0, otherPort: 0 }

const scope = Effect.runSync(Scope.make())
beforeAll(() =>
  Effect.gen(function* () {
    if (openssl === undefined) return
    const directory = yield* temporaryDirectory
    const certificate = yield* selfSigned(openssl, directory, other === undefined ? [] : [other.name])
    stub.root = yield* temporaryDirectory
    const upstream = (address?: string) =>
      stubServer(
        (request, response) => {
          const { url = "" } = request
          if (!judge(request)) return void response.writeHead(401).end()
          if (url.startsWith("/me/repo")) return passToGit(git, stub.root, request, response)
          if (url.startsWith("/api/graphql")) return graphql(request, response)
          const [, answer] = answers.find(([path]) => path.test(url)) ?? []
          return answer === undefined ? void response.writeHead(404).end("{}") : answer(response)
        },
        certificate,
        address
      )
    stub.port = (yield* upstream()).port
    stub.interceptPort = (yield* upstream(other?.address)).port
    stub.otherPort = (yield* upstream(other?.address)).port
    const common = { private: true, ca: certificate.file }
    const routes = Object.entries(documented).map(([name, route]) => [
      name,
      {
        ...route,
        upstream:
          name === "stripe"
            ? `https://${other?.name ?? "localhost"}:${stub.interceptPort}`
            : `https://localhost:${stub.port}`,
        ...common
      }
    ])
    const intercepting = {
      ...common,
      upstream: `https://${other?.name ?? "localhost"}:${stub.otherPort}`,
      intercept: true
    }
    const more = {
      hub: { ...intercepting, secret: "github_token", preset: "github", paths: ["/api/**"] },
      pull: { ...intercepting, secret: "github_token", preset: "git", paths: ["/me/**"] },
      packages: { ...intercepting, secret: "npm_token", preset: "npm", paths: ["/-/whoami", "/@me/**"] }
    }
    stub.settings = { routes: { ...Object.fromEntries(routes), ...more } }
  }).pipe(Scope.provide(scope), Effect.runPromise)
)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const daemon = sharedDaemon(values, {
  get proxy() {
    return stub.settings
  }
})

const pythonLibraries = ["requests", "httpx", "aiohttp"]
/** Where the SDKs are, if they are installed. */
const sdks = path.join(import.meta.dirname, "../clients/node_modules")

/** The programs of the page: each reads what `exec` sets, as the SDK or library does. */
const programs: Record<string, string> = {
  "chat.mjs": `
import OpenAI from "openai"
const messages = [{ role: "user", content: "hello" }]
const stream = await new OpenAI().chat.completions.create({ model: "m", stream: true, messages })
let text = ""
for await (const { choices: [choice] } of stream) text += choice.delta.content
console.log(text)`,
  "claude.mjs": `
import Anthropic from "@anthropic-ai/sdk"
const messages = [{ role: "user", content: "hello" }]
const stream = await new Anthropic().messages.create({ model: "m", max_tokens: 9, stream: true, messages })
let text = ""
for await (const { delta } of stream) text += delta?.text ?? ""
console.log(text)`,
  "me.mjs": `
const { GITHUB_API_KEY: key, GITHUB_BASE_URL: base } = process.env
const response = await fetch(base + "/user", { headers: { authorization: "token " + key } })
console.log((await response.json()).login)`,
  "me.py": `
import os, json, every
base, key = os.environ["GITHUB_BASE_URL"], os.environ["GITHUB_API_KEY"]
print(*{json.loads(one)["login"] for one in every.get(base + "/user", {"Authorization": "Bearer " + key})})`,
  "fetch.mjs": `console.log(await (await fetch(process.argv[2])).text())`,
  "get.py": `
import sys, every
print(*{one.decode() for one in every.get(sys.argv[1], {})})`,
  // What a URL answers to each library that is installed.
  "every.py": `
import asyncio, urllib.request
def by_aiohttp(url, headers):
    async def read():
        async with libraries["aiohttp"].ClientSession(trust_env=True) as session:
            async with session.get(url, headers=headers) as answer:
                return await answer.read()
    return asyncio.run(read())
libraries = {}
for name in [${pythonLibraries.map((name) => `"${name}"`).join()}]:
    try: libraries[name] = __import__(name)
    except ImportError: pass
def get(url, headers):
    yield urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read()
    for name, library in libraries.items():
        yield by_aiohttp(url, headers) if name == "aiohttp" else library.get(url, headers=headers).content`
}

/** The libraries of Python that are missing here. */
const missingLibraries = (): ReadonlyArray<string> => {
  const script = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
  const { stdout } = spawnSync("/usr/bin/python3", ["-c", script, ...pythonLibraries], { encoding: "utf8" })
  return (stdout ?? "").split(/\s+/).filter((name) => name !== "")
}

/** Returns the lines of the page below a heading, for the stub. */
const linesBelow = (heading: string): ReadonlyArray<string> => {
  const text = fs.readFileSync(path.join(import.meta.dirname, "../..", page), "utf8")
  const section =
    text.split(/^(?=##+ )/m).find((one) => one.startsWith(heading)) ?? assert.fail(`no section ${heading}`)
  const { block = "" } = /^```sh\n(?<block>.*?)^```$/ms.exec(section)?.groups ?? {}
  const repository = `localhost:${stub.port}/me/repo`
  return block
    .replaceAll("https://github.com", `https://localhost:${stub.port}`)
    .replaceAll("--repo me/repo", `--repo ${repository}`)
    .replaceAll("https://api.stripe.com", `https://${other?.name}:${stub.interceptPort}`)
    .trim()
    .split("\n")
    .filter((line) => nodeTakesProxies || !line.includes("node fetch.mjs"))
}

/** As the page says, from 24 on. */
const nodeTakesProxies = Number(process.versions.node.split(".")[0]) >= 24

/** Runs lines of shell in a folder of their own; returns what they print. */
const shell = Effect.fnUntraced(function* (lines: ReadonlyArray<string>, more: Readonly<Record<string, string>> = {}) {
  const cwd = yield* temporaryDirectory
  const bin = path.join(cwd, ".bin")
  fs.mkdirSync(bin)
  fs.writeFileSync(path.join(bin, "secrets"), `#!/bin/sh\nexec ${shellWords} "$@"\n`, { mode: 0o755 })
  for (const [name, text] of Object.entries(programs)) fs.writeFileSync(path.join(cwd, name), text)
  const who = ["AUTHOR", "COMMITTER"].flatMap((one) => [
    [`GIT_${one}_NAME`, "a"],
    [`GIT_${one}_EMAIL`, "a@example.org"]
  ])
  const env = {
    HOME: cwd,
    // gh keeps what it learns of a host there.
    TMPDIR: cwd,
    PATH: `${bin}:${path.dirname(process.execPath)}:/usr/bin:/bin`,
    AGENT_SECRETS_SOCKET: daemon().socket,
    GIT_CONFIG_NOSYSTEM: "1",
    npm_config_update_notifier: "false",
    LC_ALL: "C.UTF-8",
    ...Object.fromEntries(who),
    ...more
  }
  const script = ["set -euo pipefail", ...lines].join("\n")
  return { cwd, ...(yield* runProgram("/bin/bash", ["-c", script], { env, cwd })) }
})

const note =
  "secrets exec: --proxy keeps values out of the program, but the daemon is of the same user, whose processes can read its files"

/** A test of the lines below a heading, which need programs. */
const section = (
  heading: string,
  needs: ReadonlyArray<string>,
  expected: string | RegExp,
  around: { readonly before?: string; readonly after?: string; readonly env?: Readonly<Record<string, string>> } = {}
) =>
  it.live(`works with ${heading.replace(/^#+ /, "")}, as the page has it`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const missing = ["openssl", ...needs].filter((name) => installed(name) === undefined)
        const isElsewhere = heading.includes("take no address") && other === undefined
        if (isElsewhere) return leaveOut("another name of loopback in /etc/hosts", heading)
        if (heading.includes("SDKs") && !fs.existsSync(sdks)) missing.push("npm ci --prefix test/clients")
        if (missing.length > 0) return leaveOut(missing.join(", "), heading)
        if (needs.includes("python3")) for (const name of missingLibraries()) leaveOut(`python3-${name}`, heading)
        const lines = linesBelow(heading)
        const all = [around.before ?? "", ...lines, around.after ?? ""]
        const { status, stderr, stdout } = yield* shell(
          all.map((line) => line.replaceAll("ROOT", stub.root).replaceAll("PORT", String(stub.port))),
          around.env
        )
        assert.strictEqual(status, 0, `${stdout}\n${stderr}`)
        if (typeof expected === "string") assert.strictEqual(stdout, expected)
        else assert.match(stdout, expected)
        assert.deepStrictEqual(stderr, `${note}\n`.repeat(all.join("\n").split("secrets exec").length - 1))
        for (const value of Object.values(values)) assert.notInclude(stdout + stderr, value)
      })
    )
  )

// Each test waits for its client more than it computes.
describe("the proxy", { concurrent: true }, () => {
  section("### curl", ["curl"], '{"login":"me"}{"models":["made-up"]}')
  section("### git", ["git"], "kept\n", {
    before: [
      "git init -q --bare ROOT/me/repo; git -C ROOT/me/repo config http.receivepack true",
      "git init -q seed; cd seed; head -c 3000000 /dev/urandom > big; git add big; git commit -q -m made-up",
      "git push -q ROOT/me/repo HEAD:refs/heads/main; git -C ROOT/me/repo symbolic-ref HEAD refs/heads/main; cd .."
    ].join("\n"),
    after: [
      "cd repo; head -c 3000000 /dev/urandom > more; git add more; git commit -q -m more",
      "secrets exec --proxy git -- git push -q origin HEAD:refs/heads/more; cd ..",
      "git -C ROOT/me/repo cat-file -e more:more",
      "git -C ROOT/me/repo rev-parse -q --verify refs/heads/topic > /dev/null",
      'test "$(git -C repo config remote.origin.url)" = "https://localhost:PORT/me/repo" && echo kept'
    ].join("\n")
  })
  section("### gh", ["gh"], /^\{"login":"me"\}\n?7\tOPEN\tmade up\t/)
  section("### npm", ["npm"], /^me\n[^]*added 1 package/)
  section("### The SDKs", ["node"], "made up\nmade up\n", { before: `ln -s '${sdks}' node_modules` })
  section("### Python", ["python3", "node"], "me\nme\n")
  const fetches = nodeTakesProxies ? 3 : 2
  const balances = new RegExp(`^(\\{"object":"balance"\\}\\n?){${fetches}}$`)
  section("## Clients that take no address", ["curl", "node", "python3"], balances)

  it.live("intercepts for git, gh, npm and clients whose certificates the user has set", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const needs = ["openssl", "git", "gh", "npm", "curl"].filter((name) => installed(name) === undefined)
        if (other === undefined) needs.push("another name of loopback in /etc/hosts")
        if (needs.length > 0) return leaveOut(needs.join(", "), "interception for git, gh and npm")
        const [address, stripe] = [stub.otherPort, stub.interceptPort].map((port) => `https://${other?.name}:${port}`)
        const { status, stderr, stdout } = yield* shell(
          [
            "git init -q --bare ROOT/me/repo2; cp /etc/ssl/certs/ca-certificates.crt own.pem || : > own.pem",
            `secrets exec --proxy hub,pull,packages,stripe -- sh -euc '
              curl -fsS ${stripe}/v1/balance; test -s "$NIX_SSL_CERT_FILE"
              gh api user; npm whoami; git clone -q ${address}/me/repo2 2>&1'`
          ].map((line) => line.replaceAll("ROOT", stub.root)),
          { CURL_CA_BUNDLE: "own.pem", NIX_SSL_CERT_FILE: "own.pem", NO_PROXY: "corp.example" }
        )
        const empty = "warning: You appear to have cloned an empty repository.\n"
        assert.strictEqual(stdout.replaceAll("}\n", "}"), `{"object":"balance"}{"login":"me"}me\n${empty}`, stderr)
        assert.deepStrictEqual([status, stderr], [0, `${note}\n`])
      })
    )
  )

  it.live("gives the program no value, and says which routes were never used", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* Effect.scoped(
        shell([
          "secrets exec --proxy github,stripe --proxy openai -- sh -c 'env; cat /proc/$PPID/cmdline; cat $GH_CONFIG_DIR/* $SSL_CERT_FILE'"
        ])
      )
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(stderr, `${note}\nsecrets exec: routes github, stripe, openai were never used\n`)
      for (const value of Object.values(values)) assert.notInclude(stdout, value)
      assert.match(stdout, /^GITHUB_API_KEY=asp_[\w-]{43}$/m)
    })
  )

  it.live("takes the routes of a project file, which can only narrow them", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const request = `curl -sS -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $GITHUB_API_KEY" $GITHUB_BASE_URL`
        const { status, stderr, stdout } = yield* shell([
          `echo '{"proxy": [{"route": "github", "paths": ["/user"], "methods": ["GET"]}]}' > .secrets.json`,
          `secrets allow > /dev/null; secrets exec -- sh -c '${request}/user; ${request}/api/v3/user; ${request}/user -X DELETE'`
        ])
        assert.deepStrictEqual([status, stdout, stderr], [0, "200 403 403 ", `${note}\n`])
      })
    )
  )

  it.live("is refused for a route that there is not, and for a variable that is there already", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const unknown = yield* shell(["secrets exec --proxy github,nothing -- true"])
        assert.match(unknown.stderr, /^secrets exec: .*nothing/)
        const twice = yield* shell(["secrets exec --proxy openai --secret openai_key=OPENAI_API_KEY -- true"])
        assert.include(twice.stderr, "the variable OPENAI_API_KEY is one of --proxy")
        const hidden = yield* shell(["secrets exec --proxy openai --no-register -- true"])
        assert.include(hidden.stderr, "--no-register excludes the routes of a proxy")
        const renewed = yield* shell(["secrets exec --proxy openai --on-expiry renew -- true"])
        assert.include(renewed.stderr, "--on-expiry renew has no effect on the routes of a proxy")
      })
    )
  )

  it.live("ends the program when its routes expire, if that is wished", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { status, stderr } = yield* shell(["secrets exec --proxy openai --ttl 1s --on-expiry term -- sleep 60"])
        assert.strictEqual(status, 143)
        assert.include(stderr, "secrets exec: warning: a lease expired")
        assert.include(stderr, "secrets exec: the routes expired before the program ended")
      })
    )
  )

  it.live("goes on with the same placeholders over a restart of the daemon", () =>
    Effect.scoped(
      Effect.gen(function* () {
        if (openssl === undefined) return leaveOut("openssl", "a restart of the daemon")
        const home = yield* temporaryDirectory
        fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
        fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ proxy: stub.settings }))
        const first = yield* startDaemon({ home })
        yield* rpc(first.socket, "add", { name: "github_token", value: token })
        const request = `curl -sS -o /dev/null -w "%{http_code}\\n" -H "Authorization: Bearer $GITHUB_API_KEY" $GITHUB_BASE_URL/user`
        const wait = (name: string) => `until test -e ${name}; do sleep 0.02; done`
        const script = [
          `cd '${home}'; ${request}; touch used; ${wait("killed")}; ${request}; touch tried`,
          `until test "$(${request})" = 200; do sleep 0.02; done; echo again`
        ].join("\n")
        const program = start(["exec", "--proxy", "github", "--", "/bin/sh", "-c", script], { home })
        const file = (name: string) => path.join(home, name)
        yield* until(() => fs.existsSync(file("used")))
        yield* first.stop("SIGKILL")
        fs.writeFileSync(file("killed"), "")
        yield* until(() => fs.existsSync(file("tried")))
        yield* startDaemon({ home })
        const { status, stdout } = yield* Effect.promise(() => program.ended)
        assert.deepStrictEqual([status, stdout], [0, "200\n503\nagain\n"])
      })
    )
  )
})

afterAll(() => assert.deepStrictEqual(wrong, []))
