/**
 * The calls of scripts and programs, one by one: their standard output and exit status.
 * Source: the joelclaw contract, section 3.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, connect, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { type Ended, isScript, run, shellWords, start } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const pem = "-----BEGIN X-----\nmade up\n-----END X-----\n"
const document = '{ "token": "made up",\n  "n": 1 }'

const values: Readonly<Record<string, string>> = {
  token: "made-up-token",
  pem,
  codex_auth_json: document,
  "team:alpha": "a",
  "two words": "b",
  "it's": "c",
  $dollar: "d"
}

/** One daemon with some secrets for all tests; each test changes only secrets of its own. */
const scope = Scope.makeUnsafe()
let shared: { readonly home: string; readonly daemon: RunningDaemon }

beforeAll(async () => {
  const begin = Effect.gen(function* () {
    const home = yield* temporaryDirectory
    const daemon = yield* startDaemon({ home })
    for (const [name, value] of Object.entries(values)) yield* rpc(daemon.socket, "add", { name, value })
    return { home, daemon }
  })
  shared = await Effect.runPromise(Effect.provideService(begin, Scope.Scope, scope))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const setup = Effect.sync(() => ({ ...shared, secrets: commandIn(shared.home) }))

const commandIn = (home: string) => (line: ReadonlyArray<string>, stdin?: string) =>
  run(line, { home, ...(stdin === undefined ? {} : { stdin }) })

const isExactly = (line: ReadonlyArray<string>, { status, stderr, stdout }: Ended, expected: string) =>
  assert.deepStrictEqual([status, stdout, stderr], [0, expected, ""], line.join(" "))

const isLike = (line: ReadonlyArray<string>, { status, stderr, stdout }: Ended, expected: RegExp) => {
  assert.deepStrictEqual([status, stderr], [0, ""], line.join(" "))
  assert.match(stdout, expected)
}

/** Calls, each with its standard output: the exact text, or a pattern. */
const calls: ReadonlyArray<readonly [line: string, expected: string | RegExp]> = [
  ["lease token", "made-up-token"],
  ["lease token --ttl 24h", "made-up-token"],
  ["lease token --raw", "made-up-token"],
  ["lease token --ttl 1h --raw", "made-up-token"],
  ["lease token --ttl 20m --client-id deploy-gate", "made-up-token"],
  ["--no-update-check lease token --ttl 5m --client-id smoke", "made-up-token"],
  ["lease pem --ttl 2m", pem],
  ["lease codex_auth_json --ttl 1h", document],
  [
    "lease token --ttl 5m --json --client-id adapter",
    /^\{\n {2}"ok": true,\n {2}"success": true,[^]*"value": "made-up-token"/
  ],
  ["status", /^running since /],
  ["status --json", /"running": true[^]*"active_leases": \d+/],
  ["--timeout 2 status", /^running since /],
  ["--no-update-check status", /^running since /],
  ["--no-update-check list", /^NAME +LEASES +ROTATES .*\n[^]*^token /m],
  ["--no-update-check audit --tail 1", /^TIME [^\n]*\n[^\n]+\n$/],
  ["audit --tail 50", /^TIME /],
  ["health", /^\d+ secrets, \d+ active leases\n/],
  ["--no-update-check add new --value V", 'added "new"\n'],
  ["--no-update-check update changed --value V", 'updated "changed"\n'],
  ["--no-update-check delete gone --force", 'deleted "gone"\n'],
  ["daemon restart --help", /Usage: secrets daemon /],
  ["list --output json", /^NAME /]
]

describe.concurrent("a caller", () => {
  it.live("gets the same output as before, for every form of a call", () =>
    Effect.gen(function* () {
      const { daemon, secrets } = yield* setup
      for (const name of ["changed", "gone", "x_token"]) yield* rpc(daemon.socket, "add", { name, value: "old" })
      yield* Effect.forEach(
        calls,
        ([call, expected]) =>
          Effect.map(secrets(call.split(" ")), (ended) =>
            typeof expected === "string" ? isExactly([call], ended, expected) : isLike([call], ended, expected)
          ),
        { concurrency: 4 }
      )
      // A value on standard input without a line feed, and the same through `add … || update …`.
      assert.strictEqual((yield* secrets(["add", "x_token"], "new")).status, 5)
      isExactly(["update"], yield* secrets(["update", "x_token"], "new"), 'updated "x_token"\n')
      isExactly(["lease"], yield* secrets(["lease", "x_token"]), "new")
      const envelope = JSON.parse((yield* secrets(["lease", "token", "--json"])).stdout)
      const { result } = envelope
      // joelclaw reads these two beside the result, and takes a message there for a failure.
      assert.deepInclude(envelope, { lease_id: result.lease_id, expires_at: result.expires_at })
      assert.notProperty(envelope, "message")
      assert.strictEqual((yield* secrets(["revoke", result.lease_id])).status, 0)
    })
  )

  it.live("finds a daemon that was started with --config or with --socket", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      const socket = path.join(home, "moved.sock")
      fs.writeFileSync(config, JSON.stringify({ directory: path.join(home, "store"), socket_path: socket }))
      const secrets = commandIn(home)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startDaemon({ home, args: ["--no-update-check", "--config", config] })
          assert.strictEqual((yield* secrets(["--config", config, "status"])).status, 0)
        })
      )
      yield* startDaemon({ home, args: ["--socket", socket] })
      assert.strictEqual((yield* secrets(["--socket", socket, "status"])).status, 0)
      isExactly(["revoke --all"], yield* secrets(["--socket", socket, "revoke", "--all"]), "revoked 0 leases\n")
    })
  )

  it.live("gets every failure in a JSON envelope, and no other output on either stream", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const secrets = commandIn(home)
      const away = ["--json", "--timeout", "0.2"]
      const commands = [
        ["add", "x", "--value", "hush-hush"],
        ["lease", "x"],
        ["leases"],
        ["revoke", "--client", "x"],
        ["status", "--wait", "0.3s"],
        ["audit", "--follow"]
      ]
      yield* Effect.forEach(
        commands,
        Effect.fnUntraced(function* (command) {
          const { status, stderr, stdout } = yield* secrets([...command, ...away])
          assert.deepStrictEqual([status, stderr], [3, ""], command.join(" "))
          const envelope = JSON.parse(stdout)
          assert.deepInclude(envelope, { ok: false, success: false, command: `secrets ${command[0]}` })
          assert.strictEqual(envelope.error.code, "daemon_unavailable")
          assert.isString(envelope.fix)
          assert.notInclude(stdout, "hush-hush")
        }),
        { concurrency: 4 }
      )
      const alone = yield* secrets(["--json"])
      assert.include(
        JSON.parse(alone.stdout).result.commands.map(({ name }: { name: string }) => name),
        "lease"
      )
      const meant = yield* secrets(["leese"])
      assert.deepStrictEqual([meant.status, meant.stdout], [2, ""])
      assert.match(meant.stderr, /Did you mean: secrets lease\n$/)
    })
  )
})

/** Waits until the output of a started command fulfils a condition. */
const until = (condition: () => boolean) =>
  Effect.sync(condition).pipe(Effect.repeat({ until: (isMet) => isMet, schedule: Schedule.spaced("10 millis") }))

describe.concurrent("a user at a terminal", () => {
  it.live("lists leases, and revokes those of a client or a secret", () =>
    Effect.gen(function* () {
      const { daemon, secrets } = yield* setup
      for (const name of ["first", "other"]) yield* rpc(daemon.socket, "add", { name, value: "x" })
      for (const client_id of ["a", "b"]) {
        for (const secret_name of ["first", "other"]) yield* rpc(daemon.socket, "lease", { secret_name, client_id })
      }
      isLike(
        ["leases"],
        yield* secrets(["leases", "--client", "b"]),
        /^CLIENT {2}SECRET {2}AGE {2}EXPIRES IN {2}RUNNING {2}ID\nb {7}other {3}\ds {3}59m {9}- {8}\S{36}\nb {7}first {3}\ds {3}59m {9}- {8}\S{36}\n$/
      )
      isExactly(["revoke"], yield* secrets(["revoke", "--client", "a", "--secret", "other"]), "revoked 1 lease\n")
      isExactly(["revoke"], yield* secrets(["revoke", "--client", "nobody"]), "revoked 0 leases\n")
      const ended = yield* secrets(["revoke", "--secret", "first", "--json"])
      assert.deepStrictEqual(JSON.parse(ended.stdout).result, { leases_revoked: 2 })
      const { result } = JSON.parse((yield* secrets(["leases", "--secret", "other", "--json"])).stdout)
      assert.deepStrictEqual(
        [result.total, result.leases[0].client_id, result.leases[0].secret_name],
        [1, "b", "other"]
      )
      for (const line of [
        ["revoke", "--client", "a", "--all"],
        ["revoke", "x", "--client", "a"],
        ["revoke", "--client", ""]
      ]) {
        assert.strictEqual((yield* secrets(line)).status, 2, line.join(" "))
      }
      const shown = JSON.parse((yield* secrets(["audit", "--client", "a", "--since", "1h", "--json"])).stdout).result
      assert.deepStrictEqual(
        shown.entries.map(({ action }: { action: string }) => action),
        ["lease_acquire", "lease_acquire", "leases_revoke", "lease_revoke", "lease_revoke"]
      )
      const written = auditOf(daemon.directory).length
      const all = JSON.parse((yield* secrets(["audit", "--tail", "0", "--json"])).stdout).result
      assert.isAtLeast(all.total_shown, written)
    })
  )

  it.live("adds a value from a file, and values from a dotenv file", () =>
    Effect.gen(function* () {
      const { home, secrets } = yield* setup
      const [key, env, bad] = ["key.pem", ".env", "bad.env"].map((name) => path.join(home, name))
      fs.writeFileSync(key ?? "", pem)
      fs.writeFileSync(env ?? "", `export A='q"#'\nB="two\\nlines" # a comment\n`)
      fs.writeFileSync(bad ?? "", "C=1\nD=`hush`\n")
      isExactly(["add"], yield* secrets(["add", "key", "--file", key ?? ""]), 'added "key"\n')
      isExactly(["lease"], yield* secrets(["lease", "key"]), pem)
      const fromEnv = ["add", "--from-env", env ?? "", "--prefix", "app/"]
      isExactly(fromEnv, yield* secrets(fromEnv), 'added "app/A"\nadded "app/B"\n')
      isExactly(["lease"], yield* secrets(["lease", "app/A"]), 'q"#')
      const again = yield* secrets(fromEnv)
      assert.deepStrictEqual([again.status, again.stdout], [5, ""])
      assert.match(
        again.stderr,
        /^secrets add: 2 of 2 secrets were not added\n {2}secret "app\/A": secret already exists/
      )
      isExactly(fromEnv, yield* secrets([...fromEnv, "--update"]), 'updated "app/A"\nupdated "app/B"\n')
      const other = ["add", "--from-env", env ?? "", "--prefix", "b/", "--only", "A", "--project", home]
      const project = path.join(home, ".secrets.json")
      isExactly(other, yield* secrets([...other, "--dry-run"]), `"b/A" would be added\n${project} would be written\n`)
      isExactly(other, yield* secrets(other), `added "b/A"\nwrote ${project}; to use it: secrets allow\n`)
      assert.strictEqual(
        JSON.stringify(JSON.parse(fs.readFileSync(project, "utf8"))),
        '{"secrets":[{"name":"b/A","env_var":"A"}]}'
      )
      fs.rmSync(project)
      const wrong = yield* secrets(["add", "--from-env", bad ?? ""])
      assert.deepStrictEqual([wrong.status, wrong.stdout], [2, ""])
      assert.match(
        wrong.stderr,
        /bad\.env, line 2: the value of D has backquotes\n {2}Correct the file and try again. Nothing was added/
      )
      assert.strictEqual((yield* secrets(["lease", "C"])).status, 4)
    })
  )

  it.live("waits for the daemon, and follows the audit log over a restart", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const waiting = start(["status", "--wait", "20s"], { home })
      const following = yield* Effect.scoped(
        Effect.gen(function* () {
          const daemon = yield* startDaemon({ home })
          const { status, stdout } = yield* Effect.promise(() => waiting.ended)
          assert.strictEqual(status, 0)
          assert.match(stdout, /^running since /)
          yield* rpc(daemon.socket, "add", { name: "token", value: "x" })
          const started = start(["audit", "-f", "--tail", "1", "--action", "lease_acquire"], { home })
          yield* until(() => started.child.pid !== undefined)
          yield* rpc(daemon.socket, "lease", { secret_name: "token", client_id: "first" })
          yield* until(() => started.stdout().includes(" first "))
          yield* daemon.stop()
          return started
        })
      )
      const daemon = yield* startDaemon({ home })
      yield* rpc(daemon.socket, "lease", { secret_name: "token", client_id: "second" })
      yield* until(() => following.stdout().includes(" second "))
      following.child.kill("SIGINT")
      const { status, stdout } = yield* Effect.promise(() => following.ended)
      assert.strictEqual(status, 130)
      assert.match(stdout, /^\S+ +ok +lease_acquire +token +first .*\n\S+ +ok +lease_acquire +token +second .*\n$/)
    })
  )

  it.live("watches the status on a screen that is restored afterwards", () =>
    Effect.gen(function* () {
      const { home, secrets } = yield* setup
      assert.deepStrictEqual((yield* secrets(["status", "--watch"])).status, 2)
      const pretend = path.join(home, "terminal.cjs")
      fs.writeFileSync(
        pretend,
        "Object.assign(process.stdout, { isTTY: true, columns: 70, rows: 20 }); if (process.env.KEYS) Object.assign(process.stdin, { isTTY: true, setRawMode() { return this } })"
      )
      const load = isScript ? { NODE_OPTIONS: `--require ${pretend}` } : { BUN_OPTIONS: `--preload ${pretend}` }
      const env = { ...load, NO_COLOR: "1" }
      const dumb = yield* run(["status", "--watch"], { home, env: { ...env, TERM: "dumb" } })
      assert.deepStrictEqual([dumb.status, dumb.stdout], [2, ""])
      const watching = start(["status", "--watch"], { home, env })
      yield* until(() => watching.stdout().includes("  serving  "))
      watching.child.kill("SIGINT")
      const ended = yield* Effect.promise(() => watching.ended)
      assert.deepStrictEqual([ended.status, ended.stderr], [130, ""])
      assert.isTrue(ended.stdout.startsWith("\u001b[?1049h\u001b[?25l"))
      assert.isTrue(ended.stdout.endsWith("\u001b[?25h\u001b[?1049l"))
      for (const [key, status] of [
        ["q", 0],
        ["\u0003", 130]
      ] as const) {
        const quit = yield* run(["status", "--watch"], { home, env: { ...env, KEYS: "1" }, stdin: key })
        assert.deepStrictEqual([quit.status, quit.stdout.endsWith("\u001b[?25h\u001b[?1049l")], [status, true])
      }
    })
  )

  it.live("completes names that need quotes in bash", () =>
    Effect.gen(function* () {
      const { daemon, home } = yield* setup
      const script = (yield* run(["completions", "bash"], { home })).stdout
      assert.include(script, "complete -F _secrets secrets")
      if (spawnSync("bash", ["--version"]).error !== undefined) return
      yield* rpc(daemon.socket, "lease", { secret_name: "token", client_id: "my agent" })
      const bin = path.join(home, "bin")
      fs.mkdirSync(bin)
      fs.writeFileSync(path.join(bin, "secrets"), `#!/bin/sh\nexec ${shellWords} "$@"\n`, {
        mode: 0o755
      })
      const expected = [
        ["secrets st", "status"],
        ["secrets lease two", "two\\ words"],
        ["secrets lease team:al", "alpha"],
        ['secrets lease "two w', "two words"],
        ["secrets lease it", "it\\'s"],
        ["secrets lease '$d", "$dollar"],
        ["secrets --timeout 2 rm pe", "pem"],
        ["secrets lease pem --client-id=my", "my\\ agent"],
        ["secrets lease pem --tt", "--ttl"],
        ["secrets --socket /nowhere lease t", ""],
        ["secrets audit --action lease_ac", "lease_acquire"],
        ["secrets daemon rest", "restart"]
      ] as const
      const tries = expected.map(([line]) => `try ${JSON.stringify(line).replaceAll("$", "\\$")}`)
      const shell = `${script}
        try() { COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:' COMPREPLY=(); _secrets secrets; echo "\${COMPREPLY[*]}"; }
        ${tries.join("\n")}`
      const child = spawn("bash", ["--norc", "-c", shell], { env: { HOME: home, PATH: `${bin}:/usr/bin:/bin` } })
      let [stdout, stderr] = ["", ""]
      child.stdout.on("data", (piece) => (stdout += piece))
      child.stderr.on("data", (piece) => (stderr += piece))
      yield* Effect.promise(() => new Promise((resolve) => child.once("close", resolve)))
      assert.deepStrictEqual([stdout.split("\n"), stderr], [[...expected.map(([, reply]) => reply), ""], ""])
    })
  )

  it.live("gets the same results from the socket as from the command", () =>
    Effect.gen(function* () {
      const { daemon } = yield* setup
      const connection = yield* connect(daemon.socket)
      const ask = (method: string, params: object) =>
        Effect.promise(() => connection.ask(JSON.stringify({ method, params, id: 1 }))).pipe(
          Effect.map((line) => JSON.parse(line ?? "null"))
        )
      const refused = [
        [yield* ask("secrets.revokeMatching", {}), "client_id or secret_name is required"],
        [yield* ask("secrets.revokeMatching", { client_id: 1 }), /cannot unmarshal number into Go struct field/],
        [yield* ask("secrets.leases", { limit: "x" }), /cannot unmarshal string into .* of type number/],
        [yield* ask("secrets.audit", { since: "yesterday" }), "since is not a time as RFC 3339 writes it"],
        [yield* ask("secrets.audit", { after: "x" }), /of type number/]
      ] as const
      for (const [reply, message] of refused) {
        if (typeof message === "string") {
          const { data, ...error } = reply.error
          assert.deepStrictEqual(error, { code: -32603, message })
          assert.match(data.tag, /^(InvalidParams|MissingParameter)$/)
        } else assert.match(reply.error.message, message)
      }
      for (const limit of [0, -1, 1.5, 1e300, null]) {
        assert.deepStrictEqual(
          (yield* ask("secrets.leases", { client_id: "nobody", limit, top: limit })).result.leases,
          []
        )
      }
      const found = (yield* ask("secrets.audit", { after: 0, tail: 2, action: "secret_add" })).result
      assert.deepStrictEqual([found.entries.length, found.complete], [2, false])
      assert.isAtLeast(found.last_seq, found.entries[1].seq)
      const behind = (yield* ask("secrets.audit", { after: found.entries[0].seq, action: "secret_add" })).result
      assert.deepStrictEqual(behind.entries[0], found.entries[1])
    })
  )
})
