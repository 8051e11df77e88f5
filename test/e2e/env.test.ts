/**
 * `secrets env`: writes everything a project needs into its file, or nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { parseEnv } from "node:util"
import { auditOf, modeOf } from "../harness/daemon.ts"
import { pause, run, start } from "../harness/program.ts"
import { isIdle } from "../support/inside.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { sharedDaemon, trustingTemporary } from "../harness/sharedDaemon.ts"

const key = "-----BEGIN KEY-----\nmade up & long\n-----END KEY-----\n"
const awkward = "it's $5\r\n"
const daemon = sharedDaemon({ github_token: "ghp_madeup", key, awkward, hash: "$2b$10$madeup" }, trustingTemporary)

const two = {
  client_id: "overwritten",
  secrets: [
    { name: "github_token", env_var: "GH_TOKEN" },
    { name: "key", env_var: "KEY", ttl: "5m" }
  ]
}

/** A new project, with functions to run commands in it. */
const project = Effect.fnUntraced(function* (content: object) {
  const directory = fs.realpathSync(yield* temporaryDirectory)
  const write = (more: object) => fs.writeFileSync(path.join(directory, ".secrets.json"), JSON.stringify(more))
  write(content)
  const { directory: state, home } = daemon()
  const file = path.join(directory, ".env")
  const clientOf = (named: string) => `${os.hostname()}/${named}:${file}`
  return {
    directory,
    file,
    clientOf,
    write,
    secrets: (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
      run(args, { home, env, through: `cd '${directory}' && exec "$@"` }),
    /** The audit entries of a client that the project names: actions and secrets. */
    happened: (client: string) =>
      auditOf(state)
        .filter((entry) => entry["client_id"] === clientOf(client))
        .map((entry) => `${entry["action"]} ${entry["secret_name"]} ${entry["success"]}`)
  }
})

describe.concurrent("secrets env", () => {
  it.live("writes a file with mode 600 and the expiry of its first lease, and replaces it later", () =>
    Effect.gen(function* () {
      const { directory, file, happened, secrets } = yield* project({ ...two, client_id: "first" })
      const written = yield* secrets(["env"])
      assert.deepStrictEqual([written.status, written.stderr], [0, ""])
      const text = fs.readFileSync(file, "utf8")
      const [, until = ""] =
        /^# secrets-managed: true\n# secrets-ttl: (.*)\n# secrets-source: store\nGH_TOKEN=ghp_madeup\nKEY='-----BEGIN/.exec(
          text
        ) ?? []
      assert.isBelow(Math.abs(Date.parse(until) - Date.now() - 300_000), 20_000)
      assert.deepStrictEqual({ ...parseEnv(text) }, { GH_TOKEN: "ghp_madeup", KEY: key })
      assert.strictEqual(modeOf(file), "600")
      assert.match(written.stdout, /^wrote 2 variables to .*\.env, valid for (5m0s|4m5\ds)\n$/)
      fs.mkdirSync(path.join(directory, "deeper"))
      const again = yield* run(["env", "--json"], {
        home: daemon().home,
        through: `cd '${directory}/deeper' && exec "$@"`
      })
      const { result } = JSON.parse(again.stdout)
      assert.deepStrictEqual([result.file, result.source, result.values], [file, "store", undefined])
      assert.strictEqual(happened("first").filter((what) => what.startsWith("lease_replace")).length, 2)
      assert.deepStrictEqual(fs.readdirSync(directory).toSorted(), [".env", ".secrets.json", "deeper"])
    })
  )

  it.live("writes nothing and revokes its leases when one secret is refused", () =>
    Effect.gen(function* () {
      const { file, happened, secrets } = yield* project({
        client_id: "refused",
        secrets: [...two.secrets, { name: "nope", env_var: "NOPE" }]
      })
      const { status, stderr, stdout } = yield* secrets(["env"])
      assert.deepStrictEqual([status, stdout], [4, ""])
      assert.match(
        stderr,
        /^secrets env: secret "nope": secret not found\n {2}for the variable NOPE\n {2}See the names/
      )
      assert.isFalse(fs.existsSync(file))
      const leased = happened("refused").filter((what) => what.startsWith("lease_acquire") && what.endsWith("true"))
      const revoked = happened("refused").filter((what) => what.startsWith("lease_revoke"))
      assert.strictEqual(revoked.length, leased.length)
    })
  )

  it.live("revokes its leases when the file cannot represent a value, and does not print the value", () =>
    Effect.gen(function* () {
      const { file, happened, secrets } = yield* project({
        client_id: "unfit",
        secrets: [...two.secrets, { name: "awkward", env_var: "AWKWARD" }]
      })
      const { status, stderr } = yield* secrets(["env"])
      assert.strictEqual(status, 1)
      assert.match(stderr, /this format cannot hold a value\n {2}AWKWARD: it holds a carriage return/)
      assert.notInclude(stderr, "$5")
      assert.isFalse(fs.existsSync(file))
      assert.strictEqual(happened("unfit").filter((what) => what.startsWith("lease_revoke")).length, 3)
    })
  )

  it.live("leases nothing for a link or a file that it did not write, and does not change it", () =>
    Effect.gen(function* () {
      const { directory, file, happened, secrets } = yield* project({ ...two, client_id: "careful" })
      fs.writeFileSync(file, "MINE=1\n")
      fs.symlinkSync("elsewhere", path.join(directory, "link"))
      const foreign = yield* secrets(["env"])
      const link = yield* secrets(["env", "--file", "link"])
      assert.deepStrictEqual([foreign.status, link.status], [1, 1])
      assert.match(foreign.stderr, /\.env exists and was not written by secrets\n.*--force/)
      assert.match(link.stderr, /link is a symbolic link, which is not followed\n/)
      assert.strictEqual(fs.readFileSync(file, "utf8"), "MINE=1\n")
      assert.deepStrictEqual(happened("careful"), [])
      const forced = yield* secrets(["env", "--file", "link", "--force"])
      assert.strictEqual(forced.status, 0)
      assert.isTrue(fs.lstatSync(path.join(directory, "link")).isFile())
      assert.isFalse(fs.existsSync(path.join(directory, "elsewhere")))
    })
  )

  it.live("revokes its leases when a signal ends it, and opens no debugger", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* project({ secrets: [{ name: "token", env_var: "TOKEN" }] })
      const asked: Array<string> = []
      const socket = path.join(directory, "slow.sock")
      const replies = new Map([
        ["secrets.lease", { lease_id: "the-lease", value: "hunter22", expires_at: "2099-01-01T00:00:00Z" }],
        ["secrets.revoke", { success: true }]
      ])
      let [lease, pid] = [() => {}, 0]
      const leasing = new Promise<void>((resolve) => (lease = resolve))
      const server = net.createServer((connection) =>
        connection.once("data", async (line) => {
          const { id, method, params } = JSON.parse(String(line))
          asked.push(method)
          if (method === "secrets.lease") {
            lease()
            // The time that Node needs to open a debugger.
            await pause(150)
            while (!isIdle(pid)) await pause(5)
          }
          if (method === "secrets.revoke") assert.strictEqual(params.lease_id, "the-lease")
          connection.end(`${JSON.stringify({ jsonrpc: "2.0", id, result: replies.get(method) })}\n`)
        })
      )
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => server.listen(socket, resolve))),
        () => Effect.sync(() => server.close())
      )
      const started = start(["env", "--socket", socket], {
        home: daemon().home,
        through: `cd '${directory}' && exec "$@"`
      })
      pid = started.child.pid ?? 0
      yield* Effect.promise(() => leasing)
      for (const signal of ["SIGUSR1", "SIGUSR2", "SIGHUP"] as const) started.child.kill(signal)
      const { status, stderr } = yield* Effect.promise(() => started.ended)
      assert.deepStrictEqual([status, stderr, asked], [143, "", ["secrets.lease", "secrets.revoke"]])
      assert.isFalse(fs.existsSync(file))
    })
  )

  it.live("and lease and inject revoke what they cannot print whole", () =>
    Effect.gen(function* () {
      if (process.platform !== "linux") return
      const { home, directory: state } = daemon()
      const own = ["--client-id", "unprinted"]
      const template = path.join(yield* temporaryDirectory, "template")
      fs.writeFileSync(template, "{{ secret://hash }}\n")
      for (const words of [
        ["lease", "hash", ...own],
        ["lease", "hash", "--json", ...own],
        ["inject", "-i", template, ...own],
        ["env", "--secret", "hash", "--secret", "key", "--file", "-", "--format", "json", ...own]
      ]) {
        const { status, stderr } = yield* run(words, { home, through: 'exec "$@" > /dev/full' })
        assert.strictEqual(status, 1)
        assert.match(stderr, /^secrets: cannot write to standard output: ENOSPC\n/)
      }
      const actions = auditOf(state)
        .filter((entry) => entry["client_id"] === "unprinted")
        .map((entry) => entry["action"])
      assert.deepStrictEqual(actions.toSorted(), [...Array(5).fill("lease_acquire"), ...Array(5).fill("lease_revoke")])
    })
  )

  it.live("names every variable that was refused", () =>
    Effect.gen(function* () {
      const { home } = daemon()
      const { status, stderr } = yield* run(["env", "--secret", "no=A", "--secret", "no=B", "--file", "-"], { home })
      assert.deepStrictEqual([status, stderr.split("\n")[1]], [4, "  for the variables A, B"])
    })
  )

  it.live("warns about a value in which some readers would expand variables, by its name", () =>
    Effect.gen(function* () {
      const { secrets } = yield* project({ secrets: [{ name: "hash", env_var: "HASH" }, ...two.secrets] })
      const { status, stderr } = yield* secrets(["env"])
      assert.strictEqual(status, 0)
      assert.match(stderr, /^secrets env: warning: Next\.js, .* changes: HASH\n$/)
      assert.strictEqual((yield* secrets(["env", "--format", "shell"])).stderr, "")
    })
  )

  it.live("warns if git tracks the file or would add it", () =>
    Effect.gen(function* () {
      const { directory, file, secrets } = yield* project(two)
      const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: directory, stdio: "ignore" })
      git("init", "-q")
      const open = yield* secrets(["env"])
      assert.strictEqual(open.stderr, `secrets env: warning: git does not ignore ${file}; add it to .gitignore\n`)
      fs.writeFileSync(path.join(directory, ".gitignore"), ".env\n")
      assert.strictEqual((yield* secrets(["env"])).stderr, "")
      git("add", "-f", ".env")
      assert.match((yield* secrets(["env"])).stderr, /warning: git tracks .*\.env, so its values will be committed/)
    })
  )

  it.live("prints with --dry-run what it would do, and does nothing", () =>
    Effect.gen(function* () {
      const { clientOf, file, happened, secrets } = yield* project({ ...two, client_id: "dry" })
      const { status, stdout } = yield* secrets(["env", "--dry-run", "--ttl", "2m"])
      assert.strictEqual(status, 0)
      assert.strictEqual(
        stdout,
        `VARIABLE  SECRET        TTL\nGH_TOKEN  github_token  2m\nKEY       key           2m\nwould be leased by ${clientOf("dry")} and written to ${file}\n`
      )
      assert.deepStrictEqual([fs.existsSync(file), happened("dry")], [false, []])
    })
  )

  it.live("prints any value for a shell and as JSON, also without a project file", () =>
    Effect.gen(function* () {
      const { secrets } = yield* project(two)
      const named = ["--secret", "awkward", "--secret", "key=KEY"]
      const json = yield* secrets(["env", ...named, "--format", "json"])
      assert.deepStrictEqual(JSON.parse(json.stdout), { AWKWARD: awkward, KEY: key })
      const home = daemon().home
      const shell = yield* run(["env", ...named, "--format", "shell"], {
        home,
        through: 'eval "$("$@")" && printf %s "$AWKWARD$KEY"'
      })
      assert.deepStrictEqual([shell.status, shell.stdout, shell.stderr], [0, awkward + key, ""])
    })
  )

  it.live("appends to the environment file of a GitHub job, and masks each line", () =>
    Effect.gen(function* () {
      const { directory, secrets } = yield* project(two)
      const file = path.join(directory, "github")
      fs.writeFileSync(file, "EARLIER=1")
      const { status, stdout } = yield* secrets(["env", "--format", "github"], { GITHUB_ENV: file })
      assert.strictEqual(status, 0)
      assert.strictEqual(
        stdout,
        ["ghp_madeup", "-----BEGIN KEY-----", "made up & long", "-----END KEY-----"]
          .map((line) => `::add-mask::${line}\n`)
          .join("")
      )
      assert.match(
        fs.readFileSync(file, "utf8"),
        /^EARLIER=1\nGH_TOKEN<<(\S{20,})\nghp_madeup\n\1\nKEY<<(\S+)\n-----BEGIN/
      )
    })
  )

  it.live("pulls from Vercel through a file that it removes, and leases what is required", () =>
    Effect.gen(function* () {
      const content = { source: "vercel", project: "site", scope: "preview", ttl: "1h", required_vars: ["A"] }
      const { directory, secrets, write } = yield* project(content)
      const [bin, temporary] = ["bin", "run"].map((name) => path.join(directory, name)) as [string, string]
      fs.mkdirSync(bin)
      fs.mkdirSync(temporary)
      fs.writeFileSync(
        path.join(bin, "vercel"),
        `#!/bin/sh\nprintf '%s\\n' "$@" >args; ls -l "$3" >modes; ls -ld "$(dirname "$3")" >>modes\nprintf 'A="one\\\\ntwo"\\nPATH="x"\\n' >"$3"\n`,
        { mode: 0o755 }
      )
      const env = { PATH: `${bin}:/usr/bin:/bin`, XDG_RUNTIME_DIR: temporary }
      const { status, stderr } = yield* secrets(["env"], env)
      assert.deepStrictEqual(
        [status, stderr],
        [0, "secrets env: warning: left out, because these variables cannot hold a secret: PATH\n"]
      )
      const text = fs.readFileSync(path.join(directory, ".env.local"), "utf8")
      assert.match(text, /# secrets-source: vercel\nA='one\ntwo'\n$/)
      const args = fs.readFileSync(path.join(directory, "args"), "utf8").split("\n")
      assert.deepStrictEqual(
        [...args.slice(0, 2), ...args.slice(3)],
        ["env", "pull", "--yes", "--environment", "preview", ""]
      )
      assert.match(fs.readFileSync(path.join(directory, "modes"), "utf8"), /^-rw-------[^\n]*\ndrwx------/)
      assert.deepStrictEqual(fs.readdirSync(temporary), [])
      write({ ...content, required_vars: ["B"] })
      const missing = yield* secrets(["env"], env)
      assert.deepStrictEqual([missing.status, fs.readdirSync(temporary)], [1, []])
      assert.match(missing.stderr, /^secrets env: Vercel has no B in preview\n/)
      fs.writeFileSync(path.join(bin, "vercel"), '#!/bin/sh\nrm "$3"; mkfifo "$3"\n')
      assert.match(
        (yield* secrets(["env"], env)).stderr,
        /cannot read the file that vercel wrote \(not a regular file\)\n/
      )
    })
  )

  it.live("reports an invalid or missing project file", () =>
    Effect.gen(function* () {
      const { directory, secrets, write } = yield* project({ secrets: [{ name: "a", envvar: "A" }] })
      const wrong = yield* secrets(["env", "--json"])
      assert.strictEqual(wrong.status, 78)
      assert.include(JSON.parse(wrong.stdout).error.message, "secrets[0].envvar: unknown key; did you mean env_var?")
      write({ secrets: [] })
      fs.chmodSync(path.join(directory, ".secrets.json"), 0o666)
      assert.match((yield* secrets(["env"])).stderr, /belongs to or is writable by another user\n/)
      fs.rmSync(path.join(directory, ".secrets.json"))
      const none = yield* secrets(["env"])
      assert.deepStrictEqual([none.status, none.stdout], [2, ""])
      assert.match(none.stderr, /no \.secrets\.json in .* or above it\n {2}Create one, or name a secret/)
    })
  )
})
