/**
 * A project file gets nothing without the user's consent, and what it names stays its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { auditOf, rpc } from "../harness/daemon.ts"
import { type Ended, run } from "../harness/program.ts"
import { runInTerminal } from "../harness/terminal.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const daemon = sharedDaemon({ db: "made-up-value", key: "another-value" })

const content = { secrets: [{ name: "db", env_var: "DB" }], client_id: "deploy-bot" }

/** A repository as it was cloned, with functions to run commands in it. */
const clone = Effect.fnUntraced(function* (file: object | string = content) {
  const directory = fs.realpathSync(yield* temporaryDirectory)
  const project = path.join(directory, ".secrets.json")
  const write = (more: object | string) =>
    fs.writeFileSync(project, typeof more === "string" ? more : JSON.stringify(more))
  write(file)
  const secrets = (...args: ReadonlyArray<string>) =>
    run(args, { home: daemon().home, through: `cd '${directory}' && exec "$@"` })
  return { directory, project, write, secrets, use: secrets("exec", "--", "sh", "-c", "echo $DB") }
})

const entries = (matches: (entry: Record<string, any>) => boolean) => auditOf(daemon().directory).filter(matches)
const decisions = (project: string) =>
  entries(({ details = "" }) => details.endsWith(` ${project}`)).map(({ action }) => action)

const isUsed = ({ status, stdout }: Ended) => assert.deepStrictEqual([status, stdout], [0, "made-up-value\n"])
const isRefused = ({ status, stderr, stdout }: Ended, project: string) => {
  assert.deepStrictEqual([status, stdout], [5, ""], stderr)
  assert.include(stderr, `trust it: secrets allow ${project}\n`)
}

describe.concurrent("a project file", () => {
  it.live("is refused without a terminal, by exec and env, with the command that trusts it", () =>
    Effect.gen(function* () {
      const { directory, project, secrets, use } = yield* clone()
      isRefused(yield* use, project)
      isRefused(yield* secrets("env", "--force", "--project", project), project)
      const { error } = JSON.parse((yield* secrets("env", "--json")).stdout)
      assert.deepStrictEqual([error.code, error.exit_status], ["untrusted_project", 5])
      assert.deepStrictEqual(fs.readdirSync(directory), [".secrets.json"])
      assert.deepStrictEqual(decisions(project), Array(3).fill("project_refuse"))
      assert.deepStrictEqual(
        entries(({ action, client_id = "" }) => action === "lease_acquire" && client_id.includes(directory)),
        []
      )
    })
  )

  it.live("is used once it is allowed, until it changes or is disallowed", () =>
    Effect.gen(function* () {
      const { project, secrets, use, write } = yield* clone()
      const allowed = yield* secrets("allow")
      assert.strictEqual(allowed.stdout, `trusted ${project}: db as DB, leased by ${os.hostname()}/deploy-bot\n`)
      isUsed(yield* use)
      write(`${JSON.stringify(content)} `)
      assert.match((yield* use).stderr, /has changed since it was trusted\n/)
      assert.match((yield* secrets("allow", "--list")).stdout, new RegExp(`^changed .* ${project}$`, "m"))
      assert.strictEqual((yield* secrets("disallow")).status, 0)
      isRefused(yield* use, project)
      assert.strictEqual((yield* secrets("disallow")).status, 4)
      assert.deepStrictEqual(
        decisions(project).map((action) => action.replace("project_", "")),
        ["allow", "refuse", "disallow", "refuse"]
      )
    })
  )

  it.live("needs no consent for --dry-run, which escapes what it prints", () =>
    Effect.gen(function* () {
      const { secrets } = yield* clone({ ...content, client_id: "\u001b]52;c;aGk=\u0007\n\u202e" })
      const { status, stdout } = yield* secrets("env", "--dry-run")
      assert.strictEqual(status, 0)
      assert.notMatch(stdout, /(?!\n)[\p{Cc}\p{Cf}]/u)
      assert.lengthOf(stdout.trimEnd().split("\n"), 3)
    })
  )

  it.live("ends no lease of another client by any client_id", () =>
    Effect.gen(function* () {
      const host = os.hostname()
      const victims = ["deploy-bot", host, `${host}/deploy-bot`, `${host}/`, "/"]
      for (const client_id of victims) yield* rpc(daemon().socket, "secrets.lease", { secret_name: "key", client_id })
      const { project, secrets, write } = yield* clone()
      for (const client_id of [host, "/deploy-bot"]) {
        write({ secrets: [{ name: "key", env_var: "KEY" }], client_id })
        for (const line of [["allow"], ["exec", "--", "true"], ["env"]])
          assert.strictEqual((yield* secrets(...line)).status, 0, line[0])
      }
      const { result } = yield* rpc(daemon().socket, "secrets.leases", { secret_name: "key" })
      const file = path.join(path.dirname(project), ".env")
      assert.sameMembers(
        result.leases.map(({ client_id }: { client_id: string }) => client_id),
        [...victims, `${host}/${host}:${file}`, `${host}/%2Fdeploy-bot:${file}`]
      )
    })
  )

  it.live("is asked about on a terminal, where the answer is no unless it is yes", () =>
    Effect.gen(function* () {
      const { directory, project, secrets, use } = yield* clone()
      const answer = (text: string, words: string) =>
        Effect.promise(() => runInTerminal(words, daemon().home, text, directory))
      const no = yield* answer("\n", "exec -- true")
      assert.deepStrictEqual([no.status, no.shown.includes(`${project} is not trusted`)], [5, true], no.shown)
      assert.match(no.shown, /DB +db +default\r\nwould be leased by .*\/deploy-bot\/true\[\d+\] and passed to true\r\n/)
      const once = yield* answer("y\nfor the program\n", 'exec -- sh -c "read -r line; echo \\$line \\$DB"')
      assert.deepStrictEqual([once.status, once.shown.includes("for the program made-up-value\r\n")], [0, true])
      isRefused(yield* secrets("env"), project)
      assert.strictEqual((yield* answer("a\n", "env")).status, 0)
      isUsed(yield* use)
      assert.deepStrictEqual(
        decisions(project).map((action) => action.replace("project_", "")),
        ["refuse", "accept", "refuse", "allow"]
      )
    })
  )
})

describe.concurrent("secrets allow", () => {
  it.live("changes nothing without a daemon that records it", () =>
    Effect.gen(function* () {
      const { project, secrets } = yield* clone()
      const nowhere = ["--socket", path.join(daemon().home, "nobody.sock"), "--timeout", "1"]
      const { status, stderr } = yield* secrets("allow", ...nowhere)
      assert.deepStrictEqual([status, stderr.includes("the daemon is not running")], [3, true])
      assert.notInclude((yield* secrets("allow", "--list")).stdout, project)
      yield* secrets("allow")
      assert.strictEqual((yield* secrets("disallow", ...nowhere)).status, 3)
      assert.include((yield* secrets("allow", "--list")).stdout, project)
    })
  )

  it.live("trusts every project file below a directory with -r, and names those that it cannot trust", () =>
    Effect.gen(function* () {
      const root = yield* clone()
      const places = ["a", "b/c", "node_modules/d", "open", "broken"].map((name) => path.join(root.directory, name))
      for (const place of places) {
        fs.mkdirSync(place, { recursive: true })
        fs.copyFileSync(root.project, path.join(place, ".secrets.json"))
      }
      const [, , , open = "", broken = ""] = places
      fs.chmodSync(path.join(open, ".secrets.json"), 0o666)
      fs.writeFileSync(path.join(broken, ".secrets.json"), "{")
      const preview = yield* root.secrets("allow", "-r", root.directory, "--dry-run")
      assert.strictEqual(preview.stdout.match(/would trust/g)?.length, 3)
      const { status, stderr, stdout } = yield* root.secrets("allow", "-r", root.directory)
      assert.deepStrictEqual([status, stdout.match(/^trusted /gm)?.length], [9, 3], stderr)
      assert.match(stderr, /2 could not be trusted\n.*broken.*not JSON.*\n.*open.*writable by another user/)
    })
  )

  it.live("loses no entry when many run at once", () =>
    Effect.gen(function* () {
      const clones = yield* Effect.all(Array.from({ length: 4 }, () => clone()))
      const ended = yield* Effect.all(
        clones.map(({ secrets }) => secrets("allow")),
        { concurrency: "unbounded" }
      )
      for (const { status, stderr } of ended) assert.deepStrictEqual([status, stderr], [0, ""])
      const { stdout } = yield* clones[0]?.secrets("allow", "--list") ?? Effect.die("no clone")
      for (const { project } of clones) assert.include(stdout, `  ${project}\n`)
    })
  )
})
