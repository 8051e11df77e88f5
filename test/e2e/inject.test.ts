/**
 * References in files: `secrets inject` into a file or a pipe, and `exec --env-file` into a program.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, modeOf } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const pair = JSON.stringify({ user: "made-up-user", password: "made-up-password" })
const daemon = sharedDaemon({ token: "made-up-token", pair })

const setup = Effect.gen(function* () {
  const { call, directory: state, home } = daemon()
  const directory = fs.realpathSync(yield* temporaryDirectory)
  const file = (name: string) => path.join(directory, name)
  const write = (name: string, text: string) => {
    fs.writeFileSync(file(name), text)
    return file(name)
  }
  const secrets = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}, stdin?: string) =>
    run(args, { home, env, ...(stdin === undefined ? {} : { stdin }) })
  const ofClient = (part: string) =>
    Effect.map(call("secrets.leases"), ({ result }) =>
      result.leases.filter((one: { readonly client_id: string }) => one.client_id.includes(part))
    )
  return { state, directory, file, write, secrets, ofClient }
})

describe("secrets inject", { concurrent: true }, () => {
  it.live("writes a file of its owner alone, with our header, and keeps the leases", () =>
    Effect.gen(function* () {
      const { directory, file, ofClient, secrets, state, write } = yield* setup
      const template = write(
        "t.yaml",
        "token: {{ secret://token }}\nuser: {{ secret://pair#user }}\nother: {{ op://a/b/c }}\n"
      )
      const { status, stderr, stdout } = yield* secrets([
        "inject",
        "-i",
        template,
        "-o",
        file("out.yaml"),
        "--ttl",
        "5m"
      ])
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.strictEqual(stdout, `wrote 2 secrets to ${file("out.yaml")}\n`)
      const text = fs.readFileSync(file("out.yaml"), "utf8")
      assert.match(text, /^# secrets-managed: true\n# secrets-ttl: .*\n# secrets-source: store\ntoken: made-up-token\n/)
      assert.include(text, "user: made-up-user\nother: {{ op://a/b/c }}\n")
      assert.strictEqual(modeOf(file("out.yaml")), "600")
      assert.strictEqual((yield* ofClient(file("out.yaml"))).length, 2)
      const entry = auditOf(state).findLast(
        ({ action, client_id: id }) => action === "lease_acquire" && id.includes(directory)
      )
      assert.strictEqual(entry?.["via"], "env")
      const found = yield* secrets(["cleanup", "--all", "--dry-run", directory])
      assert.include(found.stdout + found.stderr, "out.yaml")
      // Its own file is replaced, and so are the leases; another one is not.
      assert.strictEqual((yield* secrets(["inject", "-i", template, "-o", file("out.yaml")])).status, 0)
      assert.strictEqual((yield* ofClient(file("out.yaml"))).length, 2)
      // So is one of a format without comments.
      const json = write("t.json", '{"token":"{{ secret://token }}"}')
      for (const _ of [1, 2])
        assert.deepInclude(yield* secrets(["inject", "-i", json, "-o", file("out.json")]), { status: 0, stderr: "" })
      assert.strictEqual(fs.readFileSync(file("out.json"), "utf8"), '{"token":"made-up-token"}')
      const marked = yield* secrets(["cleanup", "--all", "--json", directory])
      assert.deepStrictEqual(JSON.parse(marked.stdout).result.removed, [file("out.yaml"), file("out.json")])
      write("theirs.json", "{}")
      assert.strictEqual((yield* secrets(["inject", "-i", template, "-o", file("theirs.json")])).status, 1)
      assert.strictEqual(fs.readFileSync(file("theirs.json"), "utf8"), "{}")
    })
  )

  it.live("writes nothing and holds no lease where a reference has no value", () =>
    Effect.gen(function* () {
      const { directory, file, ofClient, secrets, write } = yield* setup
      const cases = [
        ["{{ secret://token }} {{ secret://nothing }}", 4, 'secret "nothing": secret not found'],
        [`{{ secret://${"x".repeat(9000)} }}`, 4, "x … 8"],
        [
          "{{ secret://token }} {{ secret://token#member }}",
          1,
          "secret://token#member: the value is no JSON object\n  in "
        ],
        ["{{ secret://token }}\n{{ secret://a b }}", 1, "no reference in line 2\n"],
        ["{{ secret://a b }} {{ secret:// }}\n{{ secret://a b }}", 1, "no reference in line 1, 2\n"]
      ] as const
      const check = Effect.fnUntraced(function* ([text, status, said]: (typeof cases)[number], at: number) {
        const out = file(`out${at}`)
        const ended = yield* secrets(["inject", "-i", write(`t${at}`, text), "-o", out])
        assert.deepStrictEqual([ended.status, ended.stdout], [status, ""])
        assert.include(ended.stderr, said)
        assert.notInclude(ended.stderr, "variable")
        assert.isBelow(ended.stderr.length, 1300)
        assert.isFalse(fs.existsSync(out))
      })
      yield* Effect.forEach(cases, check, { concurrency: 3 })
      assert.deepStrictEqual(yield* ofClient(directory), [])
    })
  )

  it.live("prints to a pipe, but not for an agent unless it is told to", () =>
    Effect.gen(function* () {
      const { secrets } = yield* setup
      const args = ["inject", "-i", "-"]
      const text = "x {{ secret://token }}"
      assert.deepInclude(yield* secrets(args, {}, text), { status: 0, stdout: "x made-up-token" })
      const refused = yield* secrets(args, { CLAUDECODE: "1" }, text)
      assert.deepInclude(refused, { status: 2, stdout: "" })
      assert.include(refused.stderr, "would be shown to an agent (CLAUDECODE is set)")
      assert.deepInclude(yield* secrets([...args, "--print"], { CLAUDECODE: "1" }, text), {
        status: 0,
        stdout: "x made-up-token"
      })
    })
  )
})

describe("secrets exec --env-file", { concurrent: true }, () => {
  it.live("gives a program what its files refer to, and the rest as it stands", () =>
    Effect.gen(function* () {
      const { ofClient, secrets, write } = yield* setup
      const one = write("one.env", "TOKEN=secret://token\nUSER_NAME=secret://pair#user\nPLAIN='a b'\n")
      const two = write("two.env", "PASSWORD=secret://pair#password\nPLAIN=later\n")
      const files = ["--env-file", one, "--env-file", two]
      const print = ["--", "printenv", "TOKEN", "USER_NAME", "PASSWORD", "PLAIN"]
      const { status, stderr, stdout } = yield* secrets(["exec", ...files, ...print])
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.strictEqual(stdout, "made-up-token\nmade-up-user\nmade-up-password\nlater\n")
      assert.deepStrictEqual(yield* ofClient("/printenv["), [])
      const masked = yield* secrets(["exec", "--mask", ...files, ...print])
      assert.strictEqual(masked.stdout, "***\n***\n***\nlater\n")
    })
  )

  it.live("starts nothing where a line is wrong", () =>
    Effect.gen(function* () {
      const { secrets, write } = yield* setup
      const cases = [
        ["A=secret://nothing\n", 4, 'secret "nothing": secret not found'],
        ["A=secret://token#x\n", 1, "secret://token#x: the value is no JSON object\n  in "],
        ["A=secret://\n", 1, "the value of A is no reference"],
        ["LD_PRELOAD=/tmp/x.so\n", 1, "LD_PRELOAD controls which programs run"]
      ] as const
      const check = Effect.fnUntraced(function* ([text, status, said]: (typeof cases)[number], at: number) {
        const ended = yield* secrets(["exec", "--env-file", write(`${at}.env`, text), "--", "echo", "started"])
        assert.deepStrictEqual([ended.status, ended.stdout], [status, ""])
        assert.include(ended.stderr, said)
      })
      yield* Effect.forEach(cases, check, { concurrency: 3 })
    })
  )
})
