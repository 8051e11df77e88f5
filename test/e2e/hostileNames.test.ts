/**
 * Names, paths, files and replies that would write to the terminal: no command prints one raw,
 * to a terminal, a pipe or as JSON. Only values are passed on.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { commands } from "../../src/cli/commands.ts"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** OSC 52, ED, CSI as C1, DEL, bidi, zero width, tag, separators and line breaks. */
const hostile = "\u001b]52;c;eA==\u0007\u001b[2J\u009b31m\u007f\u202e\u200b\u{e0041}\u2028\u2029\ufeff\r\nspoofed"
/** For paths, which are short. */
const inPath = "\u001b[2J\u202e\u009b\n"
const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")

const raw = /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u

/** A daemon whose paths, names, clients and settings are hostile, and a project of somebody else. */
const setup = Effect.gen(function* () {
  const root = yield* temporaryDirectory
  const [home, project] = [path.join(root, `h${inPath}`), path.join(root, `p${inPath}`)]
  const write = (file: string, text: string) => {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
    fs.writeFileSync(file, text, { mode: 0o600 })
  }
  write(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ [`un${hostile}`]: 1 }))
  write(
    path.join(project, ".secrets.json"),
    JSON.stringify({
      client_id: hostile,
      secrets: [
        { name: hostile, env_var: "A" },
        { name: "b", env_var: "B" }
      ]
    })
  )
  write(
    path.join(project, "vercel/.secrets.json"),
    JSON.stringify({ source: "vercel", project: hostile, scope: "production", env_file: `.env${hostile}`, ttl: "1h" })
  )
  write(path.join(project, `found${inPath}.txt`), `${token}\n`)
  write(path.join(project, `.env${inPath}`), "# secrets-managed: true\n# secrets-ttl: 2020-01-01T00:00:00Z\nA=1\n")
  write(path.join(project, `.env.unclear${inPath}`), "# secrets-managed: true\n# secrets-ttl: later\nA=1\n")
  write(path.join(project, "vars"), `A=1\n${hostile}\n`)
  spawnSync("git", ["init", "-q"], { cwd: project })
  spawnSync("git", ["add", "."], { cwd: project })
  const daemon = yield* startDaemon({ home })
  const call = (method: string, params: object) => rpc(daemon.socket, method, params)
  yield* call("secrets.add", { name: hostile, value: `raw ${hostile}`, rotate_via: "printf '\\033[2Jx' >&2; exit 3" })
  yield* call("secrets.add", { name: "b", value: "plain" })
  yield* call("secrets.lease", { secret_name: hostile, client_id: hostile })
  yield* call("secrets.request", { name: `missing${hostile}`, client_id: hostile, why: hostile })
  const secrets = (...args: ReadonlyArray<string>) =>
    run(args, { home, env: { PROJECT: project }, through: 'cd "$PROJECT" && exec "$@"' })
  return { daemon, home, project, secrets }
})

/** The command lines of each command; `json` runs with --json too. */
const lines: ReadonlyArray<{ readonly args: ReadonlyArray<string>; readonly json?: true }> = [
  { args: ["init"] },
  { args: ["serve"] },
  { args: ["add", hostile, "--value", "x"] },
  { args: ["add", "--from-env", "vars"] },
  { args: ["update", `${hostile}?`, "--value", "x"] },
  { args: ["delete", `${hostile}?`] },
  { args: ["lease", `${hostile}?`], json: true },
  { args: ["revoke", hostile] },
  { args: ["leases"] },
  { args: ["runs"], json: true },
  { args: ["list"], json: true },
  { args: ["show", hostile], json: true },
  { args: ["backup", `x${inPath}/y`, "--recipient", "age1x"] },
  { args: ["restore", `found${inPath}.txt`], json: true },
  { args: ["health"] },
  { args: ["exposure", hostile], json: true },
  { args: ["exposure", "--client", "*"], json: true },
  { args: ["exposure", "--since", "1h", "--rotate", "--yes"] },
  { args: ["rotate", hostile] },
  { args: ["status"] },
  { args: ["status", "--metrics"], json: true },
  { args: ["audit"], json: true },
  { args: ["audit", "--verify"] },
  { args: ["env", "--dry-run"], json: true },
  { args: ["env", "--dry-run", "--project", "vercel/.secrets.json"] },
  { args: ["env", "--secret", "b", "--file", `.env.new${inPath}`] },
  { args: ["env"] },
  { args: ["allow", "-r"] },
  { args: ["disallow", hostile] },
  { args: ["requests"], json: true },
  { args: ["approve", hostile], json: true },
  { args: ["approve", "--revoke", hostile, hostile] },
  { args: ["deny", hostile, "--why", hostile] },
  { args: ["proxy"], json: true },
  { args: ["proxy", "check", hostile, "GET", hostile], json: true },
  { args: ["policy", "explain", hostile, "--command", inPath], json: true },
  { args: ["inject", "-i", `found${inPath}.txt`, "-o", `x${inPath}/y`], json: true },
  { args: ["inject", "-i", `missing${inPath}`, "-o", "y"] },
  { args: ["helper", "print", `${hostile}?`] },
  { args: ["helper", "config", "git", `https://x/${hostile}`], json: true },
  { args: ["helper", "shim", "print", hostile], json: true },
  { args: ["exec", "--secret", "b", "--", `./${inPath}`] },
  { args: ["mcp", "config", hostile] },
  { args: ["mcp", "config", "cursor", "--project", inPath, "--secret", hostile], json: true },
  { args: ["mcp", "config", "claude-code", "--wrap", "x", "--secret", hostile, "--", hostile] },
  { args: ["scan"], json: true },
  { args: ["scan", "--staged"] },
  { args: ["cleanup", "--dry-run"] },
  { args: ["daemon", "status"] },
  { args: ["lock", hostile] },
  { args: ["unlock", hostile] },
  { args: ["completions", "--names", "secret"] },
  { args: ["team", "init", "--admin-url", hostile, "--name", "m1"], json: true },
  { args: ["team", hostile], json: true },
  { args: ["team", "add", hostile], json: true },
  { args: ["team", "join", hostile], json: true },
  { args: ["doctor"], json: true },
  { args: ["version"] },
  { args: [hostile], json: true },
  { args: ["list", `--${hostile}`] },
  { args: ["list", "--socket", `/${hostile}`, "--timeout", "0.1"], json: true },
  { args: ["list", "--timeout", hostile] }
]

describe("hostile names", () => {
  const scope = Effect.runSync(Scope.make())
  let shared: Effect.Success<typeof setup>
  beforeAll(async () => void (shared = await Effect.runPromise(Scope.provide(setup, scope))))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.live("reach nobody but the reader of a value, which is printed as it is", () =>
    Effect.gen(function* () {
      const { secrets } = shared
      const [leased, { stdout }] = yield* Effect.all(
        [secrets("lease", hostile), secrets("env", "--secret", `${hostile}=A`, "--format", "json")],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(leased.stdout, `raw ${hostile}`)
      assert.deepStrictEqual([JSON.parse(stdout), raw.test(stdout)], [{ A: `raw ${hostile}` }, false])
    })
  )

  it.live("are escaped by every command, as text and as JSON", () =>
    Effect.gen(function* () {
      const { daemon, secrets } = shared
      const all = lines.flatMap(({ args, json }) => (json ? [args, [...args, "--json"]] : [args]))
      const printed = yield* Effect.forEach(
        all,
        (args) => Effect.map(secrets(...args), ({ stderr, stdout }) => ({ args, stderr, stdout })),
        { concurrency: 4 }
      )
      for (const { args, stderr, stdout } of printed) {
        const shown = JSON.stringify(args)
        assert.notMatch(stdout + stderr, raw, shown)
        assert.notMatch(stdout + stderr, /^spoofed/m, shown)
        if (args.includes("--json")) JSON.parse(stdout)
      }
      assert.notMatch(daemon.stderr(), raw)
      const of = (...words: ReadonlyArray<string>) =>
        printed.find(({ args }) => args.join() === words.join())?.stdout ?? ""
      const escaped =
        "\\x1b]52;c;eA==\\x07\\x1b[2J\\u009b31m\\x7f\\u202e\\u200b\\U000e0041\\u2028\\u2029\\ufeff\\r\\nspoofed"
      assert.include(of("list"), escaped)
      assert.include(of("leases"), escaped)
      assert.include(of("env", "--dry-run"), escaped)
      assert.include(of("scan"), "found\\x1b[2J\\u202e\\u009b\\n.txt:1 ")
      assert.strictEqual(of("completions", "--names", "secret"), "b\n")
      assert.include(of("status", "--metrics"), "\\\\x1b]52")
      const [first] = JSON.parse(of("list", "--json")).result.secrets
      assert.strictEqual(first.name, hostile)
    })
  )

  it("are tried on every command", () => {
    const tried = new Set(lines.map(({ args }) => args[0]))
    assert.deepStrictEqual(
      Object.keys(commands).filter((name) => !tried.has(name)),
      []
    )
  })

  it.live("are escaped in the replies of any program that listens on the socket", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const socket = path.join(home, "fake.sock")
      const replies = {
        running: true,
        started_at: hostile,
        secrets_count: 0,
        active_leases: 0,
        text: hostile,
        names: []
      }
      let message: object = { result: replies }
      const server = net.createServer((connection) =>
        connection.on("data", (lines) => {
          for (const line of lines.toString().trim().split("\n"))
            connection.write(`${JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(line).id, ...message })}\n`)
        })
      )
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => server.listen(socket, resolve))),
        () => Effect.sync(() => server.close())
      )
      const tried = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
        const { stderr, stdout } = yield* run([...args, "--socket", socket], { home })
        assert.isNotEmpty(stdout + stderr)
        assert.notMatch(stdout + stderr, raw, args.join(" "))
      })
      yield* Effect.all([tried("status"), tried("status", "--json"), tried("status", "--metrics")], { concurrency: 3 })
      message = { error: { code: -32000, message: hostile, data: { tag: "SecretNotFound" } } }
      yield* Effect.all([tried("lease", "x"), tried("lease", "x", "--json")], { concurrency: 2 })
    })
  )
})
