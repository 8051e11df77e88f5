/**
 * The command as callers use it: its standard output, its standard error and its exit status.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { bashScript } from "../../src/cli/commands/completions/bashScript.ts"
import { fishScript } from "../../src/cli/commands/completions/fishScript.ts"
import { allSpecs } from "../../src/cli/commands.ts"
import { commandHelp, helpLines, helpTree } from "../../src/cli/command/help.ts"
import { zshScript } from "../../src/cli/commands/completions/zshScript.ts"
import { startDaemon } from "../harness/daemon.ts"
import { type Ended, isScript, run } from "../harness/program.ts"
import { emptiedDaemon } from "../harness/sharedDaemon.ts"
import { hasProc } from "../support/inside.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const setup = emptiedDaemon()

const envelope = (text: string) => JSON.parse(text)

/** Runs lines that do not depend on each other, and pairs each with its end. */
const sideBySide = <A>(table: ReadonlyArray<A>, secrets: (row: A) => Effect.Effect<Ended>) =>
  Effect.forEach(table, (row) => Effect.map(secrets(row), (ended) => [ended, row] as const), { concurrency: 3 })

/** Prints the help of each command through the entry of the built program, in one process: a start costs more than the help. */
const printHelps = `
const lines = JSON.parse(process.argv[2])
const entry = require("node:path").join(process.argv[1], "../main.cjs")
process.setMaxListeners(0)
const printNext = () => {
  const line = lines.shift()
  if (line === undefined) return
  process.argv.splice(2, Infinity, ...line)
  delete require.cache[entry]
  require(entry)
}
process.exit = (status) => {
  require("node:fs").writeSync(1, status + "\\0")
  setImmediate(printNext)
}
printNext()
`

describe("secrets lease", () => {
  it.live("prints exactly the bytes of the value", () =>
    Effect.gen(function* () {
      const { secrets } = yield* setup
      const pem = "-----BEGIN X-----\nmade up: ünï ☃ 𝄞\u0000\n-----END X-----\n"
      assert.strictEqual((yield* secrets(["add", "pem"], pem)).status, 0)
      const lines = [
        ["lease", "pem"],
        ["lease", "pem", "--raw", "--ttl", "24h", "--client-id", "deploy"],
        ["--no-update-check", "lease", "pem", "--ttl=5m", "--human", "--output", "raw"]
      ]
      for (const [{ status, stderr, stdout }, line] of yield* sideBySide(lines, secrets)) {
        assert.deepStrictEqual([status, stdout, stderr], [0, pem, ""], line.join(" "))
      }
    })
  )

  it.live("prints nothing on standard output when it fails, and an error with a hint on standard error", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      const table: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [
          ["lease", "nope"],
          4,
          /^secrets lease: secret "nope": secret not found\n {2}See the names with: secrets list\n$/
        ],
        [["lease", "db", "--ttl", "25h"], 5, /^secrets lease: invalid TTL duration\n {2}Ask for at most 24h/],
        [["lease", "db", "--ttl", "1y"], 2, /--ttl must be a duration\n/],
        [["lease"], 2, /^secrets lease: expected 1 argument, got 0\n {2}Usage: secrets lease NAME/],
        [["lease", "db", "--tll", "1h"], 2, /^secrets lease: unknown flag --tll\n {2}Did you mean: --ttl\n/],
        [
          ["lease", "db", "--socket", "/nonexistent/s", "--timeout", "0.2"],
          3,
          /the daemon is not running\n {2}cannot connect to the daemon: nothing listens on \/nonexistent\/s \(ENOENT\)\n {2}Start it with: secrets serve --socket \/nonexistent\/s\n$/
        ],
        [["lease", "db", "--timeout", "soon"], 2, /--timeout must be a number/],
        [["revoke", "--all", "some-id"], 2, /^secrets revoke: --all excludes LEASE_ID\n/],
        [["\u001b[31mred"], 2, /^secrets \\x1b\[31mred: unknown command/],
        [["lease", "db", "--socket", "/\u001b[31m", "--timeout", "0.2"], 3, /nothing listens on \/\\x1b\[31m /]
      ]
      for (const [{ status, stderr, stdout }, row] of yield* sideBySide(table, ([line]) => secrets(line))) {
        const [line, expected, message] = row
        assert.deepStrictEqual([stdout, status], ["", expected], line.join(" "))
        assert.match(stderr, message)
      }
    })
  )

  it.live("prints a JSON envelope with --json, also when it fails", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      const good = envelope((yield* secrets(["lease", "db", "--json", "--client-id", "c"])).stdout)
      assert.deepInclude(good, { ok: true, success: true, command: "secrets lease" })
      assert.deepInclude(good.result, { value: "x", secret_name: "db", client_id: "c" })
      assert.isString(good.result.lease_id)
      assert.notProperty(good, "message")
      const bad = yield* secrets(["lease", "nope", "--json"])
      assert.deepStrictEqual([bad.status, bad.stderr], [4, ""])
      assert.deepStrictEqual(envelope(bad.stdout), {
        ok: false,
        success: false,
        command: "secrets lease",
        error: { message: 'secret "nope": secret not found', code: "SecretNotFound", exit_status: 4 },
        fix: "See the names with: secrets list"
      })
    })
  )

  it.live("keeps one lease for each client; all callers without --client-id are one client", () =>
    Effect.gen(function* () {
      const { audit, call, secrets } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      const lines = [
        ["lease", "db"],
        ["lease", "db"],
        ["lease", "db", "--client-id", "other"]
      ]
      for (const [{ stdout }] of yield* sideBySide(lines, secrets)) assert.strictEqual(stdout, "x")
      const { result } = yield* call("status")
      assert.strictEqual(result.active_leases, 2)
      assert.strictEqual(audit().filter(({ action }) => action === "lease_replace").length, 1)
    })
  )
})

describe("secrets add", () => {
  it.live("reads all of a pipe, a single line without its end", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      const table: ReadonlyArray<readonly [string, string]> = [
        ["one\n", "one"],
        ["one\r\n", "one"],
        ["\n a \n\n", "\n a \n\n"],
        ["no line feed", "no line feed"],
        ['{ "type": "x",\r\n"y": 1 }\r\n', '{ "type": "x",\r\n"y": 1 }\r\n'],
        ["ünï ☃ 𝄞\u0000", "ünï ☃ 𝄞\u0000"]
      ]
      const rows = table.map(([given, kept], n) => [["add", `s${n}`], given, kept] as const)
      for (const [{ stdout }, [[, name], , kept]] of yield* sideBySide(rows, ([line, stdin]) => secrets(line, stdin))) {
        assert.strictEqual(stdout, `added "${name}"\n`)
        assert.strictEqual((yield* call("lease", { secret_name: name, client_id: "c" })).result.value, kept)
      }
    })
  )

  it.live("accepts a value as an argument, also one that begins with dashes", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      assert.strictEqual((yield* secrets(["add", "db", "--value", "--not-a-flag", "--rotate-via", "true"])).status, 0)
      assert.strictEqual((yield* call("lease", { secret_name: "db", client_id: "c" })).result.value, "--not-a-flag")
      assert.match(
        (yield* secrets(["list"])).stdout,
        /^NAME {2}LEASES {2}ROTATES {2}AGE {2}LAST USED\ndb {4}1 {7}yes +\d+s +\d+s\n$/
      )
    })
  )

  it.live("rejects an invalid value without printing it", () =>
    Effect.gen(function* () {
      const { call, directory, secrets, stderr } = yield* setup
      yield* call("add", { name: "db", value: "hush-hush" })
      const table: ReadonlyArray<readonly [ReadonlyArray<string>, string | Uint8Array, number, RegExp]> = [
        [["add", "db"], "hush-hush", 5, /secret "db": secret already exists/],
        [["add", "e"], "", 2, /the value of a secret cannot be empty/],
        [["add", "e"], "\n", 2, /the value of a secret cannot be empty/],
        [["add", "e"], Uint8Array.of(0xff, 0xfe), 2, /the value is not UTF-8 text/],
        [["add", ""], "hush-hush", 2, /the name of a secret cannot be empty/],
        [["add", "e", "hush-hush"], "x", 2, /expected at most 1 argument, got 2/]
      ]
      for (const [ended, [, , status, message]] of yield* sideBySide(table, ([line, stdin]) => secrets(line, stdin))) {
        assert.deepStrictEqual([ended.status, ended.stdout], [status, ""])
        assert.match(ended.stderr, message)
        assert.notInclude(ended.stderr, "hush-hush")
      }
      const files = fs.readdirSync(directory).filter((name) => fs.statSync(path.join(directory, name)).isFile())
      for (const file of files) assert.notInclude(fs.readFileSync(path.join(directory, file), "latin1"), "hush-hush")
      assert.notInclude(stderr(), "hush-hush")
    })
  )
})

describe("the commands", () => {
  it.live("revoke one lease, or all", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      const lease = Effect.map(call("lease", { secret_name: "db", client_id: "c" }), ({ result }) => result)
      const { lease_id } = yield* lease
      assert.strictEqual((yield* secrets(["revoke", lease_id])).stdout, `revoked ${lease_id}\n`)
      assert.strictEqual((yield* secrets(["revoke", "nope"])).status, 4)
      assert.strictEqual((yield* secrets(["revoke"])).status, 2)
      yield* lease
      assert.match(
        (yield* secrets(["revoke", "--all"])).stdout,
        /^revoked 1 lease\nValues that were handed out still work/
      )
      assert.deepStrictEqual(
        Object.entries(envelope((yield* secrets(["revoke", "--all", "--json"])).stdout).result)[0],
        ["leases_revoked", 0]
      )
    })
  )

  it.live("report by the exit status of `status` whether a daemon serves", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      const secrets = (args: ReadonlyArray<string>) => run(args, { home })
      const serving = yield* secrets(["status"])
      assert.strictEqual(serving.status, 0)
      assert.match(
        serving.stdout,
        /^running since \S+ \(up \d+s\)\nprocess {7}\d+, version \S+ \(build \S+\)\nsecrets {7}0\nactive leases 0\nsocket {8}\S+, your role: owner\nevents {8}joelclaw is not installed, 0 sent\n$/
      )
      yield* daemon.stop()
      const lines = [
        ["status"],
        ["status", "--json"],
        ["revoke", "--all"],
        ["list"],
        ["audit"],
        ["add", "x", "--value", "y"]
      ]
      for (const [{ status, stdout }, line] of yield* sideBySide(lines, (line) =>
        secrets([...line, "--timeout", "0.2"])
      )) {
        assert.strictEqual(status, 3, line.join(" "))
        if (line.includes("--json")) assert.strictEqual(envelope(stdout).error.code, "daemon_unavailable")
        else assert.strictEqual(stdout, "", line.join(" "))
      }
    })
  )

  it.live("wait for a missing daemon no longer than usual, also `rotate`, whose reply may take minutes", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const lines = [
        ["rotate", "db"],
        ["rotate", "--all"]
      ]
      for (const ended of yield* Effect.forEach(lines, (args) => run(args, { home }), { concurrency: "unbounded" })) {
        assert.deepStrictEqual([ended.status, ended.stdout], [3, ""])
      }
    })
  )

  it.live("time out when the daemon does not answer, also those whose reply may take minutes", () =>
    Effect.gen(function* () {
      const { directory, secrets, signal } = yield* setup
      const file = path.join(directory, "vars")
      fs.writeFileSync(file, "A=made-up\n")
      const lines: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["status", "--timeout", "0.3"], 6, /did not reply within 0\.3 s/],
        [["add", "--from-env", file], 6, /did not reply within [23](\.\d)? s/],
        [["revoke", "--all", "--rotate"], 6, /did not reply within [23](\.\d)? s/],
        [["scan", file], 11, /did not reply within 2 s/]
      ]
      signal("SIGSTOP")
      const tried = yield* sideBySide(lines, ([line]) => secrets(line))
      signal("SIGCONT")
      for (const [{ status, stderr, stdout }, [line, expected, message]] of tried) {
        assert.strictEqual(status, expected, line.join(" "))
        assert.match(stderr, message)
        if (status === 6) assert.strictEqual(stdout, "")
      }
    })
  )

  it.live("name the process of a daemon whose socket is gone, whichever of them needs it", () =>
    Effect.gen(function* () {
      const { pid, secrets, signal, socket } = yield* setup
      const lines = [
        ["lease", "db"],
        ["add", "db", "--value", "made-up"],
        ["exec", "--secret", "db", "--", "true"],
        ["revoke", "--all"]
      ]
      signal("SIGSTOP")
      fs.renameSync(socket, `${socket}.away`)
      const tried = yield* sideBySide(lines, ([name = "", ...rest]) => secrets([name, "--timeout", "0.2", ...rest]))
      fs.renameSync(`${socket}.away`, socket)
      signal("SIGCONT")
      for (const [{ status, stderr }, line] of tried) {
        assert.strictEqual(status, 3, line.join(" "))
        assert.include(stderr, `${hasProc ? `process ${pid}` : "a daemon"} runs, but its socket is gone\n`)
        assert.notInclude(stderr, "secrets serve")
      }
    })
  )

  it.live("print the audit log without terminal control characters", () =>
    Effect.gen(function* () {
      const { call, secrets } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      yield* call("lease", { secret_name: "db", client_id: "\u001b[31mred\nline" })
      const { stdout } = yield* secrets(["audit", "--tail", "1"])
      assert.match(
        stdout,
        /^TIME .*\n\S+ {2}ok {2}lease_acquire {2}db {6}\\x1b\[31mred\\nline {2}\S{36} {2}TTL: 1h0m0s\n$/
      )
      const { result } = envelope((yield* secrets(["audit", "--json", "--tail", "2"])).stdout)
      assert.deepStrictEqual([result.total_shown, result.tail_limit, result.entries.length], [2, 2, 2])
      assert.strictEqual((yield* secrets(["audit", "--tail", "-1"])).status, 2)
    })
  )

  it.live("create the store once, with init", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* run(["init"], { home })
      assert.deepStrictEqual(
        [first.status, first.stdout.split("\n")[0]],
        [0, `created an empty store in ${home}/.agent-secrets`]
      )
      const again = yield* run(["init", "--json"], { home })
      assert.deepStrictEqual(envelope(again.stdout).result, { path: `${home}/.agent-secrets`, store_state: "loaded" })
      yield* startDaemon({ home })
      const beside = yield* run(["init"], { home })
      assert.strictEqual(beside.status, 75)
    })
  )

  it.live("print a warning for a misspelled setting, which serve logs", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      fs.writeFileSync(config, JSON.stringify({ directory: path.join(home, "state"), socket_pth: "hush" }))
      const { status, stderr } = yield* run(["init", "--config", config], { home })
      assert.strictEqual(status, 0)
      assert.include(
        stderr,
        `secrets: warning: config: socket_pth is not a setting: did you mean socket_path? (${config})\n`
      )
      assert.notInclude(stderr, "hush")
    })
  )

  it.live("print help that matches their definitions", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const specs = yield* Effect.promise(allSpecs)
      const printed = (args: ReadonlyArray<string>) =>
        Effect.map(run(args, { home }), ({ status, stderr, stdout }) => {
          assert.deepStrictEqual([status, stderr], [0, ""], args.join(" "))
          return stdout
        })
      for (const text of yield* Effect.forEach([["--help"], ["help"], []], printed, { concurrency: 3 }))
        assert.strictEqual(text, `${helpLines(specs).join("\n")}\n`)
      for (const args of [
        ["help", "--json"],
        ["--help", "--json"]
      ])
        assert.deepStrictEqual(envelope(yield* printed(args)).result, JSON.parse(JSON.stringify(helpTree(specs))))
      const helps = specs.map((spec) => [spec.name, `${commandHelp(spec).lines?.join("\n")}\n`] as const)
      // Only Node can run the entry again in one process; two commands have one of their own.
      if (isScript) {
        const lines = JSON.stringify(specs.map(({ name }) => [name, "--help"]))
        const together = yield* run([lines], { home, nodeOptions: ["-e", printHelps] })
        assert.deepStrictEqual([together.status, together.stderr], [0, ""])
        assert.deepStrictEqual(together.stdout.split("\0"), [...helps.map(([, help]) => `${help}0`), ""])
      }
      const alone = helps.filter(([name]) => !isScript || name === "exec" || name === "lease")
      const check = ([name, help]: readonly [string, string]) =>
        Effect.map(printed([name, "--help"]), (text) => assert.strictEqual(text, help))
      yield* Effect.forEach(alone, check, { concurrency: 3 })
      for (const [shell, make] of [
        ["bash", bashScript],
        ["zsh", zshScript],
        ["fish", fishScript]
      ] as const) {
        assert.strictEqual(yield* printed(["completions", shell]), make(specs))
      }
      const unknown = yield* run(["leese"], { home })
      assert.deepStrictEqual([unknown.status, unknown.stdout], [2, ""])
      const version = (yield* run(["--version"], { home })).stdout
      assert.match(version, /^\d+\.\d+\.\d+\n$/)
      assert.strictEqual(
        envelope((yield* run(["--version", "--json"], { home })).stdout).result.version,
        version.trimEnd()
      )
    })
  )

  it.live("exit without an error when the reader of their output has closed it", () =>
    Effect.gen(function* () {
      const { home } = yield* setup
      const ended = yield* run(["audit"], { home, through: '"$@" | true' })
      assert.strictEqual(ended.stderr, "")
    })
  )

  it.live("report an output that cannot be written, but not one without a reader", () =>
    Effect.gen(function* () {
      const { call, home } = yield* setup
      yield* call("add", { name: "db", value: "x" })
      for (const line of [["lease", "db"], ["leases"]]) {
        const { status, stderr } = yield* run(line, { home, through: '"$@" 1</dev/null' })
        assert.strictEqual(status, 1)
        assert.match(
          stderr,
          /^secrets: cannot write to standard output: EBADF\n {2}It is closed: redirect it\. The output is incomplete\n$/
        )
      }
    })
  )

  it.live("print a whole mebibyte into a pipe with a slow reader, also in non-blocking mode", () =>
    Effect.gen(function* () {
      const { home, secrets } = yield* setup
      const value = "x".repeat(1024 * 1024)
      yield* secrets(["add", "large"], value)
      assert.isTrue((yield* run(["lease", "large"], { home, through: '"$@" | { sleep 0.2; cat; }' })).stdout === value)
      // Another Node process on the same pipe has set it to non-blocking mode.
      const other = `process.stdout; require("fs").writeFileSync("${home}/there", ""); setTimeout(() => {}, 10_000)`
      const beside = `'${process.execPath}' -e '${other}' & until [ -e '${home}/there' ]; do sleep 0.02; done`
      const through = `{ ${beside}; "$@"; kill $!; } | { sleep 0.2; cat; }`
      for (const line of [
        ["lease", "large"],
        ["lease", "large", "--client-id", "c", "--json"]
      ]) {
        const { stderr, stdout } = yield* run(line, { home, through })
        assert.isTrue((line.length === 2 ? stdout : envelope(stdout).result.value) === value)
        assert.strictEqual(stderr, "")
      }
    })
  )

  it.live("exit only after all of their output is in the file", () =>
    Effect.gen(function* () {
      const { home, secrets } = yield* setup
      yield* secrets(["add", "big"], "x".repeat(300_000))
      for (const line of [
        ["lease", "big"],
        ["lease", "big", "--json"]
      ]) {
        const full = yield* run(line, { home, through: `trap '' XFSZ; ulimit -f 100; "$@" > ${home}/part` })
        assert.strictEqual(full.status, 1)
        assert.match(full.stderr, /^secrets: cannot write to standard output: EFBIG\n/)
      }
      const whole = yield* run(["lease", "big"], { home, through: `echo before > ${home}/all; "$@" >> ${home}/all` })
      assert.deepStrictEqual([whole.status, fs.statSync(path.join(home, "all")).size], [0, 300_007])
    })
  )

  // The runtime of the binary does not start in such a directory.
  it.live.runIf(isScript)("report a missing daemon also from a working directory that was removed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const through = `cd ${home} && mkdir gone && cd gone && rmdir ../gone && "$@"`
      const { stderr, stdout } = yield* run(["lease", "db", "--socket", "s", "--timeout", "0.2"], { home, through })
      assert.match(
        stderr,
        /^secrets lease: the daemon is not running\n {2}cannot connect to the daemon: nothing listens on s \(ENOENT\)\n/
      )
      assert.strictEqual(stdout, "")
    })
  )
})
