/**
 * `secrets mcp` as its clients meet it: what the tools return, that no value is in any line, and
 * that it ends with its client, and its programs with it.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf } from "../harness/daemon.ts"
import { type McpClientUnderTest, openMcp, scopedMcp, startMcp } from "../harness/mcpClient.ts"
import { isScript, program } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { formsIn } from "../support/leaks.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually, until } from "../support/waiting.ts"

const value = 'made-up "value" / with+signs & ünicode 7Qw'
const daemon = sharedDaemon(
  { tok: value, tiny: "abc", other: "another-made-up-value" },
  {
    mcp: {
      clients: {
        extra: { tools: ["write_env_file", "search_audit"] },
        "narrow*": { tools: ["list_secrets", "run_with_secrets"], commands: ["echo", "/bin/cat"] }
      }
    },
    policy: [{ secrets: ["other"], via: ["exec"] }, { secrets: ["*"] }]
  }
)

/** One client for the tests that need none of their own: a start costs far more than a call. */
let client: McpClientUnderTest
beforeAll(async () => {
  client = await openMcp({ home: daemon().home, env: { AGENT_SECRETS_SESSION: "s-1", CI: "no" } })
})
afterAll(() => {
  client.child.kill("SIGKILL")
  return client.ended
})

const opened = (options: Partial<Parameters<typeof openMcp>[0]> = {}) =>
  Effect.suspend(() => scopedMcp({ home: daemon().home, ...options }))

const run = (client: McpClientUnderTest, command: ReadonlyArray<string>, more: object = {}) =>
  Effect.promise(() => client.call("run_with_secrets", { command, secrets: [{ name: "tok" }], ...more }))

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** A program that writes its process id and stays, with what it does at SIGTERM. */
const staying = (file: string, trap = "") => ["sh", "-c", `${trap} echo $$ > '${file}'; while :; do sleep 1; done`]

const pidIn = (file: string) =>
  Effect.map(
    until(() => fs.existsSync(file) && fs.readFileSync(file, "utf8").endsWith("\n")),
    () => Number(fs.readFileSync(file, "utf8"))
  )

/** Prints the variable plain, and as programs encode it. */
const printEverything = `
const value = process.env.TOK, bytes = Buffer.from(value)
console.log(value, bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex"))
console.log(encodeURIComponent(value), JSON.stringify({ value }), new URLSearchParams({ value }).toString())
console.error(JSON.stringify(JSON.stringify(value)), bytes.toString("hex").toUpperCase(), process.argv, "é".slice(0, 1))
process.exitCode = 3
`

describe("secrets mcp", () => {
  it.live("lists the tools that config.json offers, in a fixed order and with all hints", () =>
    Effect.gen(function* () {
      const { result } = yield* Effect.promise(() => client.ask("tools/list"))
      assert.deepStrictEqual(
        result.tools.map(({ annotations, name }: any) => [name, ...Object.values(annotations).slice(1)]),
        [
          ["list_secrets", true, false, true, false],
          ["run_with_secrets", false, true, false, true],
          ["request_secret", false, false, true, false],
          ["list_leases", true, false, true, false],
          ["revoke_leases", false, true, true, false]
        ]
      )
      const text = JSON.stringify(result)
      for (const keyword of ["prefixItems", "$ref", "anyOf", "oneOf"]) assert.notInclude(text, keyword)
      for (const { inputSchema } of result.tools) assert.strictEqual(inputSchema.additionalProperties, false)
      const [initialized = ""] = client.lines
      assert.isAtMost(Buffer.byteLength(JSON.parse(initialized).result.instructions), 600)
    })
  )

  it.live("shows a program's output with the value masked in every encoding", () =>
    Effect.gen(function* () {
      const ended = yield* run(client, [process.execPath, "-e", printEverything], { reason: "a test" })
      assert.deepInclude(ended, { status: "exited", exit_code: 3, signal: null })
      assert.isAtLeast(ended.masked, 8)
      assert.match(ended.stdout, /^\*\*\* \*\*\* \*\*\* \*\*\*\n\*\*\* \{"value":"\*\*\*"\} value=\*\*\*\n$/)
      const listed = yield* Effect.promise(() => client.call("list_secrets"))
      assert.deepStrictEqual(
        listed.secrets.map(({ approval, name }: any) => [name, approval]),
        [
          ["tiny", "none"],
          ["tok", "none"]
        ]
      )
      assert.strictEqual(listed.hidden, 1)
      for (const line of [...client.lines, client.stderr()])
        assert.deepStrictEqual(formsIn(Buffer.from(line), value), [])
      const entry = auditOf(daemon().directory).findLast(({ action }) => action === "lease_acquire")
      assert.deepInclude(entry, { via: "mcp", program: "node", reason: "a test", secret_name: "tok" })
      assert.match(entry?.["client_id"], /^test\/node\[\d+\.1\]$/)
    })
  )

  it.live("counts what is masked in the last output before the exit", () =>
    Effect.gen(function* () {
      const client = yield* opened()
      for (let round = 0; round < 4; round++) {
        const { masked, stdout } = yield* run(client, ["cat"], { stdin: `it is ${value}` })
        assert.deepStrictEqual([stdout, masked], ["it is ***", 1])
      }
    })
  )

  it.live("names what to do in the words of the tool, not in those of the command line", () =>
    Effect.gen(function* () {
      const client = yield* opened()
      const missing = yield* run(client, ["no-such-program"])
      assert.strictEqual(missing.error, "no_such_program")
      const unnamed = yield* Effect.promise(() => client.call("run_with_secrets", { command: ["true"] }))
      assert.strictEqual(unnamed.error, "invalid_arguments")
      assert.include(unnamed.message, "no .secrets.json in")
      const steering = yield* run(client, ["true"], { env: { LD_PRELOAD: "x" } })
      assert.strictEqual(steering.error, "bad_variable")
      for (const { fix, message } of [missing, unnamed, steering])
        assert.notMatch(`${message} ${fix}`, /secrets exec|--secret|hold a secret/)
    })
  )

  it.live(
    "gives the program its input, its directory and its variables, and none of its own but the mark of exec",
    () =>
      Effect.gen(function* () {
        const { home } = daemon()
        fs.mkdirSync(path.join(home, "below"), { recursive: true })
        const script =
          'cat; pwd; echo "$EXTRA $TERM $NO_COLOR $CI"; env | grep -v ^AGENT_SECRETS_EXEC= | grep -c -e AGENT_SECRETS -e NODE_CHANNEL; ls -l /proc/self/fd 2>/dev/null | grep -c " 3 -> socket"'
        const more = { stdin: "typed\n", cwd: "below", env: { EXTRA: "x" }, secrets: [{ name: "tok", env: "T" }] }
        const { stdout } = yield* run(client, ["sh", "-c", script], more)
        assert.strictEqual(stdout, `typed\n${fs.realpathSync(path.join(home, "below"))}\nx dumb 1 no\n0\n0\n`)
        const entry = auditOf(daemon().directory).findLast(({ action }) => action === "lease_acquire")
        assert.strictEqual(entry?.["session"], "s-1")
      })
  )

  it.live("refuses what it may not do, with a code that a model can act on and no argument in the text", () =>
    Effect.gen(function* () {
      const elsewhere = yield* temporaryDirectory
      fs.symlinkSync(elsewhere, path.join(daemon().home, "link"))
      const refused = [
        [{ command: ["true"], secrets: [{ name: "xyzzy-1" }] }, "no_such_secret"],
        [{ command: ["true"], secrets: [{ name: "other" }] }, "not_allowed"],
        [{ command: ["true"], secrets: [{ name: "tiny" }] }, "too_short_to_mask"],
        [{ command: ["xyzzy-2"], secrets: [{ name: "tok" }] }, "no_such_program"],
        [{ command: ["true"], secrets: [{ name: "tok" }], cwd: elsewhere }, "outside_project"],
        [{ command: ["true"], secrets: [{ name: "tok" }], cwd: "link" }, "outside_project"],
        [{ command: ["true"], secrets: [{ name: "tok" }], cwd: "xyzzy-3" }, "outside_project"],
        [{ command: ["true"], secrets: [{ name: "tok" }], env: { TOK: "x" } }, "bad_variable"],
        [{ command: ["true"], secrets: [{ name: "tok" }], env: { LD_PRELOAD: "xyzzy-4" } }, "bad_variable"],
        [{ command: ["true"], secrets: [{ name: "tok", env: "PATH" }] }, "bad_variable"],
        [{ command: ["true"], secrets: [{ name: "tok" }, { name: "tok" }] }, "bad_variable"],
        [{ command: ["true"], secrets: [] }, "invalid_arguments"],
        [{ command: [], secrets: [{ name: "tok" }] }, "invalid_arguments"],
        [{ command: ["true", "a\0b"], secrets: [{ name: "tok" }] }, "invalid_arguments"],
        [{ command: ["true"], secrets: [{ name: "tok", "xyzzy-5": 1 }] }, "invalid_arguments"],
        [{ command: ["true"], secrets: [{ name: "tok" }], timeout_seconds: 601 }, "invalid_arguments"],
        [{ command: ["true", "x".repeat(200_000)], secrets: [{ name: "tok" }] }, "invalid_arguments"],
        [{ command: "xyzzy-6" }, "invalid_arguments"],
        [{}, "invalid_arguments"]
      ] as const
      const isRefused = ([given, code]: (typeof refused)[number]) =>
        Effect.gen(function* () {
          const failure = yield* Effect.promise(() => client.call("run_with_secrets", given))
          assert.strictEqual(failure.error, code, JSON.stringify(failure))
          assert.match(failure.fix, /\w/)
        })
      yield* Effect.forEach(refused, isRefused, { concurrency: 3 })
      const { error } = yield* Effect.promise(() => client.call("get_secret", { name: "tok" }))
      assert.strictEqual(error.code, -32602)
      assert.notInclude([...client.lines, client.stderr()].join("\n"), "xyzzy")
    })
  )

  it.live("answers a hundred calls at once, whatever lines come between them", () =>
    Effect.gen(function* () {
      const calls = Array.from({ length: 100 }, (_, n) => {
        const noise =
          ["", "{", "[1]", "null", '{"jsonrpc":"2.0","id":"x"}', "\u0000", '{"method":1}', '{"a":'][n % 8] ?? ""
        client.send(noise)
        return client.call("list_leases")
      })
      const answers = yield* Effect.promise(() => Promise.all(calls))
      assert.deepStrictEqual(new Set(answers.map((one) => JSON.stringify(one))).size, 1)
      assert.deepStrictEqual(answers[0], { leases: [] })
    })
  )

  it.live("masks before it cuts, and cuts at the limit", () =>
    Effect.gen(function* () {
      const script = 'printf "first "; yes "$TOK" | head -c 10000000; printf " last"'
      const { left_out, stdout } = yield* run(client, ["sh", "-c", script])
      assert.match(stdout, /^first \*\*\*\n[^]* … \d+ bytes left out … [^]* last$/)
      assert.isBelow(stdout.length, 16_100)
      assert.isAbove(left_out, 500_000)
      assert.deepStrictEqual(formsIn(Buffer.from(client.lines.join("")), value), [])
    })
  )
})

describe("a program of secrets mcp", () => {
  it.live("ends the program of a cancelled call, and answers nothing more to it", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "pid")
      const given = { command: staying(file), secrets: [{ name: "tok" }] }
      client.send({ id: 7777, method: "tools/call", params: { name: "run_with_secrets", arguments: given } })
      const pid = yield* pidIn(file)
      const held = yield* Effect.promise(() => client.call("list_leases"))
      assert.deepInclude(held.leases[0], { secret: "tok", program: "sh", running: true })
      client.send({ method: "notifications/cancelled", params: { requestId: 7777, reason: "a test" } })
      yield* until(() => !isAlive(pid))
      const leases = Effect.promise(() => client.call("list_leases"))
      yield* eventually(leases, (found) => found.leases.length === 0)
      assert.notInclude(client.lines.join("\n"), '"id":7777')
    })
  )

  it.live("revokes leases of its own, and ends their programs", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "pid")
      const running = client.call("run_with_secrets", { command: staying(file), secrets: [{ name: "tok" }] })
      yield* pidIn(file)
      const { result } = yield* daemon().call("secrets.lease", { secret_name: "tok", client_id: "somebody" })
      const foreign = yield* Effect.promise(() => client.call("revoke_leases", { lease_ids: [result.lease_id] }))
      assert.deepStrictEqual(foreign, {
        revoked: 0,
        note: "no active lease of this client is one of these. See the active ones with list_leases"
      })
      assert.strictEqual((yield* Effect.promise(() => client.call("revoke_leases"))).error, "invalid_arguments")
      assert.deepStrictEqual(yield* Effect.promise(() => client.call("revoke_leases", { secret: "tok" })), {
        revoked: 1
      })
      assert.deepInclude(yield* Effect.promise(() => running), { signal: "SIGTERM" })
    })
  )
})

/** These have clients of their own. The first waits for a time to pass, and does not use its client otherwise. */
describe.concurrent("secrets mcp beside others", () => {
  it.live("stops a program at its time, and returns what it has written", () =>
    Effect.gen(function* () {
      const ended = yield* run(client, ["sh", "-c", "echo begun; exec sleep 60"], { timeout_seconds: 5 })
      assert.deepInclude(ended, { status: "timed_out", signal: "SIGTERM", stdout: "begun\n" })
    })
  )

  it.live("offers a client what its section of config.json has, and flags only narrow that", () =>
    Effect.gen(function* () {
      const client = yield* opened({
        name: "narrow client",
        args: ["--secret", "ti*", "--tool", "run_with_secrets", "--tool", "search_audit"]
      })
      const { result } = yield* Effect.promise(() => client.ask("tools/list"))
      assert.deepStrictEqual(
        result.tools.map(({ name }: any) => name),
        ["run_with_secrets"]
      )
      for (const name of ["list_secrets", "list_leases", "search_audit"]) {
        assert.strictEqual((yield* Effect.promise(() => client.call(name))).error.code, -32602)
      }
      const refused = yield* run(client, ["sh", "-c", "true"])
      assert.deepInclude(refused, { error: "command_not_allowed", fix: "Use one of: echo, /bin/cat" })
      assert.strictEqual((yield* run(client, ["echo"])).error, "no_such_secret")
      const failure = yield* Effect.promise(() => client.call("run_with_secrets", { command: ["echo"] }))
      assert.strictEqual(failure.error, "invalid_arguments")
    })
  )

  it.live(
    "writes an env file that git ignores and shows its own audit entries, where config.json lists these tools",
    () =>
      Effect.gen(function* () {
        const project = yield* temporaryDirectory
        const client = yield* opened({ name: "extra", cwd: project })
        const write = (file: string, name = "tok") =>
          Effect.promise(() => client.call("write_env_file", { file, secrets: [{ name }], ttl: "5m" }))
        assert.strictEqual((yield* write(".env")).error, "not_ignored")
        spawnSync("git", ["init", "-q"], { cwd: project })
        assert.strictEqual((yield* write(".env")).error, "not_ignored")
        fs.writeFileSync(path.join(project, ".gitignore"), ".env\n")
        assert.strictEqual((yield* write("../.env")).error, "outside_project")
        assert.strictEqual((yield* write(".env", "other")).error, "not_allowed")
        assert.deepStrictEqual(yield* write(".env"), { file: ".env", variables: ["TOK"] })
        assert.include(fs.readFileSync(path.join(project, ".env"), "utf8"), "TOK=")
        const { entries } = yield* Effect.promise(() => client.call("search_audit", { secret: "tok", since: "1h" }))
        assert.deepStrictEqual(
          entries.map(({ action, client, via }: any) => [action, client, via]),
          [["lease_acquire", "extra", "env"]]
        )
        assert.strictEqual(
          (yield* Effect.promise(() => client.call("search_audit", { since: "x" }))).error,
          "invalid_arguments"
        )
        assert.deepStrictEqual(formsIn(Buffer.from(client.lines.join("\n")), value), [])
      })
  )

  it.live("ends with its client: at the end of input, when nobody reads, and at a signal", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const ways = [
        ["end", (client: McpClientUnderTest) => client.child.stdin?.end(), 0],
        ["signal", ({ child }: McpClientUnderTest) => child.kill("SIGTERM"), 143],
        [
          "unread",
          (client: McpClientUnderTest) => {
            client.child.stdout?.destroy()
            client.send({ id: 5, method: "ping" })
          },
          0
        ]
      ] as const
      const endsWith = ([name, leave, status]: (typeof ways)[number]) =>
        Effect.gen(function* () {
          const client = yield* opened({ name: "ending" })
          const files = ["polite", "stubborn"].map((one) => path.join(directory, `${name}-${one}`))
          const traps = ["", "trap '' TERM HUP INT;"]
          files.forEach((file, n) =>
            client.send({
              id: 50 + n,
              method: "tools/call",
              params: {
                name: "run_with_secrets",
                arguments: { command: staying(file, traps[n]), secrets: [{ name: "tok" }] }
              }
            })
          )
          const pids = yield* Effect.forEach(files, pidIn)
          leave(client)
          assert.strictEqual((yield* Effect.promise(() => client.ended)).status, status, name)
          yield* until(() => !pids.some(isAlive))
          assert.strictEqual(client.stderr(), "")
        })
      yield* Effect.forEach(ways, endsWith, { concurrency: 3 })
      yield* until(() => {
        const [acquired, held] = [new Set<string>(), new Set<string>()]
        for (const { action, client_id, lease_id, success, via } of auditOf(daemon().directory)) {
          if (action === "lease_acquire" && success && via === "mcp" && client_id.startsWith("ending/")) {
            acquired.add(lease_id)
            held.add(lease_id)
          }
          if (action === "lease_revoke") held.delete(lease_id)
        }
        return acquired.size === 6 && held.size === 0
      })
    })
  )

  it.live("ends its programs also if it is killed", () =>
    Effect.gen(function* () {
      const client = yield* opened()
      const file = path.join(yield* temporaryDirectory, "pid")
      client.send({
        id: 9,
        method: "tools/call",
        params: { name: "run_with_secrets", arguments: { command: staying(file), secrets: [{ name: "tok" }] } }
      })
      const pid = yield* pidIn(file)
      client.child.kill("SIGKILL")
      yield* until(() => !isAlive(pid))
    })
  )

  it.live("ends a program whose parent was killed: nobody would hear of it any more", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "pid")
      const running = client.call("run_with_secrets", { command: staying(file), secrets: [{ name: "tok" }] })
      const pid = yield* pidIn(file)
      const { stdout } = spawnSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" })
      process.kill(Number(stdout), "SIGKILL")
      assert.deepInclude(yield* Effect.promise(() => running), { status: "stopped", stdout: "" })
      yield* until(() => !isAlive(pid))
    })
  )

  it.live("survives a client that sends and never reads, and ends with it", () =>
    Effect.gen(function* () {
      const client = startMcp({ home: daemon().home })
      client.child.stdout?.pause()
      client.send({
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "deaf", version: "1" } }
      })
      for (let id = 2; id < 3000; id += 1) client.send({ id, method: "tools/list" })
      client.child.stdin?.end()
      assert.strictEqual(yield* Effect.promise(() => new Promise((resolve) => client.child.once("exit", resolve))), 0)
      client.child.stdout?.destroy()
    })
  )

  it.live("starts without a daemon, and says so when one is needed", () =>
    Effect.gen(function* () {
      const client = yield* opened({ home: yield* temporaryDirectory, args: ["--timeout", "0.1"] })
      const failure = yield* Effect.promise(() => client.call("list_secrets"))
      assert.deepInclude(failure, { error: "daemon_down", fix: "Tell the person: secrets status" })
    })
  )

  it.live("speaks the protocol without a handshake", () =>
    Effect.gen(function* () {
      const meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { name: "modern", version: "2" }
      }
      const modern = yield* Effect.acquireRelease(
        Effect.sync(() => startMcp({ home: daemon().home })),
        ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const { result } = yield* Effect.promise(() => modern.ask("server/discover", { _meta: meta }))
      assert.include(result.supportedVersions, "2026-07-28")
      const called = yield* Effect.promise(() =>
        modern.ask("tools/call", { name: "list_secrets", arguments: {}, _meta: meta })
      )
      assert.strictEqual(called.result.structuredContent.secrets.length, 2)
    })
  )
})

describe("the chunk of secrets mcp", () => {
  it.skipIf(!isScript)("is loaded by no other command", () => {
    const directory = path.dirname(program)
    const chunks = fs.readdirSync(directory).filter((file) => /\.[cm]js$/.test(file))
    const textOf = (file: string) => fs.readFileSync(path.join(directory, file), "utf8")
    const libraries = chunks.filter((file) => textOf(file).includes("effect/ai/McpServer"))
    assert.strictEqual(libraries.length, 1)
    const importers = chunks.filter((file) => textOf(file).includes(libraries[0] ?? "?"))
    assert.deepStrictEqual(
      importers.map((file) => file.replace(/-.*/, "")),
      ["mcp"]
    )
  })
})
