/**
 * secrets helper as other programs call it: one answer or nothing on standard output, whatever the
 * environment and the state of the daemon. The clients themselves are in helperClients.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { runProgram } from "../harness/clients.ts"
import { auditOf } from "../harness/daemon.ts"
import { invocation, isScript, pause, run, start } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const helpers = {
  git: { "https://github.com": { secret: "token" }, "https://denied.example": { secret: "printed_only" } },
  openclaw: { "*": {} },
  docker: { "ghcr.io": { secret: "token", username: "me" } },
  aws: { deploy: { access_key_id: "id", secret_access_key: "token" } }
}
const policy = [
  { secrets: ["printed_only"], via: ["lease"] },
  { secrets: ["short"], max_ttl: "2m" },
  { secrets: ["*"] }
]
const daemon = sharedDaemon(
  { token: "made-up-token", id: "AKIAMADEUP", printed_only: "made-up", short: "made-up", lines: "made\nup" },
  { helpers, policy }
)
const github = "protocol=https\nhost=github.com\n\n"

describe("secrets helper", () => {
  it.live("holds one lease for many calls, and says who asked", () =>
    Effect.gen(function* () {
      const { call, directory, secrets } = daemon()
      for (let n = 0; n < 2; n += 1) {
        const { status, stderr, stdout } = yield* secrets(["helper", "git", "get"], github)
        assert.deepStrictEqual([status, stderr], [0, ""])
        assert.match(stdout, /^username=x-access-token\npassword=made-up-token\npassword_expiry_utc=\d+\n\n$/)
      }
      const { leases } = (yield* call("secrets.leases")).result
      const own = leases.filter((one: any) => one.client_id.endsWith("/git:https://github.com"))
      assert.strictEqual(own.length, 1)
      const last = auditOf(directory).findLast(({ action }) => action === "lease_acquire")
      assert.deepInclude(last, { via: "helper:git", lease_id: own[0].lease_id, details: "TTL: 15m0s" })
      assert.isNotEmpty(last?.["program"])
    })
  )

  it.live("answers with the end of the lease, and shortens one that nobody asked for", () =>
    Effect.gen(function* () {
      const { call, secrets } = daemon()
      const { stdout } = yield* secrets(["helper", "aws", "deploy"])
      const { Expiration, ...rest } = JSON.parse(stdout)
      assert.deepStrictEqual(rest, { Version: 1, AccessKeyId: "AKIAMADEUP", SecretAccessKey: "made-up-token" })
      const { leases } = (yield* call("secrets.leases")).result
      const ends = leases.filter((one: any) => one.client_id.endsWith("/aws:deploy")).map((one: any) => one.expires_at)
      assert.strictEqual(
        Math.min(...ends.map(Date.parse)) - (Math.min(...ends.map(Date.parse)) % 1000),
        Date.parse(Expiration)
      )
      assert.deepInclude(yield* secrets(["helper", "print", "short"]), { status: 0, stdout: "made-up\n" })
      const refused = yield* secrets(["helper", "print", "short", "--ttl", "15m"])
      assert.deepInclude(refused, { status: 5, stdout: "" })
    })
  )

  it.live("prints nothing but the answer or the reason", () =>
    Effect.gen(function* () {
      const { secrets } = daemon()
      const cases = [
        [["print", "nothing"], "", 4, "", /^secrets helper: secret "nothing": secret not found\n/],
        [["print", "lines"], "", 65, "", /^secrets helper: the value has several lines\n/],
        [["print", "token", "--json"], "", 2, "", /--json does not apply/],
        [["aws", "deploy", "--ttl", "19m"], "", 2, "", /--ttl must be at least 20m for aws/],
        [["git", "get"], "protocol=https\nhost=other.example\n\n", 0, "", /^$/],
        // Git asks neither the next helper nor a person.
        [["git", "get"], "protocol=https\nhost=denied.example\n\n", 5, "quit=1\n\n", /access denied: "printed_only"/],
        [["docker", "get"], "other.example", 1, "credentials not found in native keychain\n", /^$/],
        [["git", "get"], "x".repeat(1024 * 1024 + 1), 65, "", /longer than 1 MiB/]
      ] as const
      const check = Effect.fnUntraced(function* ([args, stdin, status, stdout, stderr]: (typeof cases)[number]) {
        const ended = yield* secrets(["helper", ...args], stdin)
        assert.deepStrictEqual([ended.status, ended.stdout], [status, stdout], args.join(" "))
        assert.match(ended.stderr, stderr)
      })
      yield* Effect.forEach(cases, check, { concurrency: 3 })
    })
  )

  it.live("ends a lease whose value nobody got", () =>
    Effect.gen(function* () {
      const { call, home, secrets } = daemon()
      const [command = "", ...script] = invocation
      const held = (part: string) =>
        Effect.map(call("secrets.leases"), ({ result }) =>
          result.leases.filter((one: any) => one.client_id.endsWith(part))
        )
      // The reader of the pipe is gone before the answer.
      const child = spawn(command, [...script, "helper", "print", "id"], {
        env: { HOME: home, PATH: "/usr/bin:/bin" },
        stdio: ["ignore", "pipe", "ignore"]
      })
      child.stdout.destroy()
      const status = yield* Effect.promise(() => new Promise((resolve) => child.once("exit", resolve)))
      assert.strictEqual(status, 1)
      assert.deepStrictEqual(yield* held("/print:id"), [])
      assert.strictEqual((yield* secrets(["helper", "print", "lines"])).status, 65)
      assert.deepStrictEqual(yield* held("/print:lines"), [])
    })
  )

  it.live("prints what another program needs, and names what is missing for it", () =>
    Effect.gen(function* () {
      const { home, secrets } = daemon()
      const missing = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
        const { stderr, stdout } = yield* secrets(["helper", "config", ...args])
        return { stdout, missing: stderr.split("\n").filter((line) => line !== "") }
      })
      assert.deepStrictEqual((yield* missing("git", "https://github.com")).missing, [])
      const other = yield* missing("git", "https://git.example")
      assert.deepStrictEqual(other.missing, [
        `secrets helper: missing target in ${home}/.agent-secrets/config.json, where NAME is a secret: {"helpers":{"git":{"https://git.example":{"secret":"NAME"}}}}`
      ])
      assert.deepStrictEqual((yield* missing("print", "nothing")).missing, [
        "secrets helper: missing secret: secrets add nothing"
      ])
      const shim = path.join(home, "shims/openclaw")
      const before = yield* missing("openclaw", "--dir", path.dirname(shim))
      assert.deepStrictEqual(before.missing, [
        `secrets helper: missing program: secrets helper shim openclaw --dir ${path.dirname(shim)}`
      ])
      const written = yield* secrets(["helper", "shim", "openclaw", "--dir", path.dirname(shim)])
      assert.include(written.stdout, `next: secrets helper config openclaw --dir ${path.dirname(shim)}\n`)
      const after = yield* missing("openclaw", "--dir", path.dirname(shim))
      assert.deepStrictEqual(after.missing, [])
      assert.include(after.stdout, `"command": "${shim}"`)
    })
  )

  it.live("records a rejected credential, which health shows until the value changes", () =>
    Effect.gen(function* () {
      const { call, directory, secrets } = daemon()
      const erased = yield* secrets(["helper", "git", "erase"], `${github.trimEnd()}\nusername=x-access-token\n\n`)
      assert.deepStrictEqual([erased.status, erased.stdout, erased.stderr], [0, "", ""])
      const entry = auditOf(directory).findLast(({ action }) => action === "credential_rejected")
      assert.deepInclude(entry, { secret_name: "token", via: "helper:git", success: false })
      assert.match(
        (yield* secrets(["health"])).stdout,
        /Needs attention:\n {2}"token" was rejected by its target: ".*\/git:https/
      )
      yield* call("secrets.update", { name: "token", value: "made-up-token" })
      assert.notMatch((yield* secrets(["health"])).stdout, /was rejected/)
    })
  )
})

// Much of their time is waiting, and none of them looks at the entries or the leases of another.
describe("secrets helper, called by many programs at once", { concurrent: true }, () => {
  it.live("needs no HOME, no PATH, no standard input and no directory that it may read", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const shim = yield* run(["helper", "shim", "openclaw"], { home })
      assert.strictEqual(shim.status, 0, shim.stderr)
      const file = path.join(home, ".local/lib/agent-secrets/openclaw")
      assert.deepStrictEqual([fs.lstatSync(file).isFile(), fs.statSync(file).mode & 0o7777], [true, 0o755])
      const request = JSON.stringify({ protocolVersion: 1, provider: "agentsecrets", ids: ["token", "nothing"] })
      const bare = (line: string) => start([], { home, through: line }).ended
      const answered = yield* Effect.promise(() =>
        bare(`cd / && printf '%s' '${request}' | env -i OPENCLAW_CLI=1 '${file}'`)
      )
      assert.deepStrictEqual(JSON.parse(answered.stdout), {
        protocolVersion: 1,
        values: { token: "made-up-token" },
        errors: { nothing: { message: 'secret "nothing": secret not found' } }
      })
      const print = yield* run(["helper", "shim", "print", "token"], { home })
      assert.strictEqual(print.status, 0, print.stderr)
      // The binary starts in no directory that was removed.
      const removed = isScript ? `cd '${home}' && mkdir gone && cd gone && rmdir ../gone` : "cd /"
      const closed = yield* Effect.promise(() =>
        bare(`${removed}; env -i '${path.join(path.dirname(file), "print-token")}' <&-`)
      )
      assert.deepStrictEqual([closed.stdout, closed.status], ["made-up-token\n", 0])
      // A file that somebody else wrote stays.
      fs.writeFileSync(file, "theirs")
      assert.strictEqual((yield* run(["helper", "shim", "openclaw"], { home })).status, 1)
      assert.strictEqual(fs.readFileSync(file, "utf8"), "theirs")
    })
  )

  it.live("answers a program that keeps its standard input open, and one that never writes", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const [command = "", ...script] = invocation
      const late = (words: ReadonlyArray<string>, text: string) =>
        Effect.promise(
          () =>
            new Promise<string>((resolve) => {
              const child = spawn(command, [...script, "helper", ...words], {
                env: { HOME: home },
                stdio: ["pipe", "pipe", "inherit"]
              })
              let stdout = ""
              child.stdout.on("data", (piece) => (stdout += piece))
              child.stdin.on("error", () => undefined)
              child.stdin.write(text)
              child.once("close", () => resolve(stdout))
            })
        )
      const [git, openclaw, docker, silent] = yield* Effect.all(
        [
          late(["git", "get"], github),
          late(["openclaw"], `{"protocolVersion":1,"ids":["token"]}`),
          late(["docker", "get"], "ghcr.io"),
          late(["git", "get"], "")
        ],
        { concurrency: 4 }
      )
      assert.match(git, /password=made-up-token/)
      assert.match(openclaw, /"token":"made-up-token"/)
      assert.match(docker, /"Secret":"made-up-token"/)
      assert.strictEqual(silent, "")
    })
  )

  it.live("answers Claude Code by a shell and Codex without one, as their settings say", () =>
    Effect.gen(function* () {
      const { home, secrets } = daemon()
      const { stdout } = yield* secrets(["helper", "config", "print", "token"])
      const { apiKeyHelper } = JSON.parse(/^\{[^]*?^\}/m.exec(stdout)?.[0] ?? "")
      const [, command = "", args = ""] = /^command = (".*")\nargs = (.*)$/m.exec(stdout) ?? []
      const claude = {
        HOME: home,
        PATH: "/usr/bin:/bin",
        CLAUDECODE: "1",
        AI_AGENT: "claude-code",
        CLAUDE_CODE_SESSION_ID: "s"
      }
      const codex = { HOME: home, PATH: "/usr/bin:/bin", PWD: home, TERM: "dumb" }
      const asked = yield* Effect.all(
        [
          runProgram("/bin/sh", ["-c", apiKeyHelper], { env: claude, cwd: home }),
          runProgram(JSON.parse(command), JSON.parse(args), { env: codex, cwd: home })
        ],
        { concurrency: 2 }
      )
      for (const ended of asked) assert.deepInclude(ended, { status: 0, stdout: "made-up-token\n", stderr: "" })
    })
  )

  it.live("answers cargo line by line, until there is no more", () =>
    Effect.gen(function* () {
      const { home, secrets } = daemon()
      const index = "sparse+https://crates.example.com/index/"
      const config = path.join(home, "cargo.json")
      fs.writeFileSync(config, JSON.stringify({ helpers: { cargo: { [index]: { secret: "token" } } } }))
      const ask = (kind: string, url: string) =>
        JSON.stringify({ v: 1, registry: { "index-url": url, name: "local" }, kind, operation: "read", args: [] })
      const { stdout } = yield* secrets(
        ["helper", "cargo", "--config", config, "--", "--cargo-plugin"],
        [ask("get", index), ask("login", index), ask("get", "sparse+https://evil.example/"), ""].join("\n")
      )
      const [hello, ...answers] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepStrictEqual(hello, { v: [1] })
      assert.strictEqual(answers[0].Ok.token, "made-up-token")
      assert.deepStrictEqual(answers.slice(1), [
        { Err: { kind: "operation-not-supported" } },
        { Err: { kind: "url-not-supported" } }
      ])
    })
  )
})

describe("without a daemon that answers", { concurrent: true }, () => {
  it.live("there is a reason within four seconds, and no answer", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const hung = path.join(home, "hung.sock")
      const server = net.createServer(() => undefined)
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => server.listen(hung, resolve))),
        () => Effect.sync(() => server.close())
      )
      const timed = (args: ReadonlyArray<string>) =>
        Effect.promise(async () => {
          const from = performance.now()
          const ended = await Promise.race([start(["helper", ...args], { home }).ended, pause(60_000)])
          return { ...ended, seconds: (performance.now() - from) / 1000 }
        })
      const [absent, silent] = yield* Effect.all(
        [timed(["print", "x", "--socket", path.join(home, "none.sock")]), timed(["print", "x", "--socket", hung])],
        { concurrency: 2 }
      )
      assert.deepInclude(absent, { status: 3, stdout: "" })
      assert.match(String(absent.stderr), /^secrets helper: the daemon is not running\n/)
      assert.deepInclude(silent, { status: 6, stdout: "" })
    })
  )

  it.live("a wrong target in config.json is named, as for the daemon", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      fs.writeFileSync(config, JSON.stringify({ helpers: { git: { "https://github.com": { secret: 5 } } } }))
      const check = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
        const { status, stderr, stdout } = yield* run([...args, "--config", config], { home, stdin: github })
        assert.deepStrictEqual([status, stdout], [78, ""], args.join(" "))
        assert.include(stderr, "helpers.git.https://github.com.secret must be the name of a secret")
      })
      yield* Effect.forEach([["helper", "git", "get"], ["serve"]], check, { concurrency: 2 })
    })
  )
})
