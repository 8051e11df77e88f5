/**
 * A policy in config.json, as its users meet it: what each command gets, and that the daemon
 * reads it again at SIGHUP, as a whole or not at all.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf } from "../harness/daemon.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"

const policy = [
  { secrets: ["prod_*"], via: ["exec"], commands: ["printenv"], max_ttl: "5m", reason: true },
  { secrets: ["open"] }
]
const daemon = sharedDaemon({ prod_db: "made-up-value", open: "made-up-too", unlisted: "made-up-third" }, { policy })

describe("a policy", () => {
  it.live("gives a value to the programs that it names, and to nothing else", () =>
    Effect.gen(function* () {
      const { secrets } = daemon()
      const exec = (...args: ReadonlyArray<string>) => secrets(["exec", "--secret", "prod_db", ...args])
      assert.deepInclude(yield* exec("--reason", "a test", "--", "printenv", "PROD_DB"), {
        status: 0,
        stdout: "made-up-value\n"
      })
      for (const [args, said] of [
        [
          ["exec", "--secret", "prod_db", "--reason", "x", "--", "true"],
          /may not be given to "true" \(policy rule 1\)/
        ],
        [["exec", "--secret", "prod_db", "--", "printenv"], /"prod_db" needs a reason \(policy rule 1\)/],
        [["lease", "prod_db"], /may not be printed, only used by exec \(policy rule 1\)/],
        [["env", "--secret", "prod_db", "--file", "-"], /may not be written to a file/]
      ] as const) {
        const { status, stderr, stdout } = yield* secrets(args)
        assert.deepStrictEqual([status, stdout], [5, ""])
        assert.match(stderr, said)
        assert.match(stderr, /secrets policy explain NAME/)
      }
      assert.strictEqual((yield* secrets(["lease", "open"])).stdout, "made-up-too")
    })
  )

  it.live("hides a secret that no rule is for, from a client of the predecessor as well", () =>
    Effect.gen(function* () {
      const { call, secrets } = daemon()
      const { status, stderr } = yield* secrets(["lease", "unlisted"])
      assert.strictEqual(status, 4)
      assert.include(stderr, 'secret "unlisted": secret not found')
      assert.deepStrictEqual(
        (yield* call("secrets.list")).result.secrets.map(({ name }: { readonly name: string }) => name),
        ["open", "prod_db"]
      )
    })
  )

  it.live("is explained and checked", () =>
    Effect.gen(function* () {
      const { secrets } = daemon()
      const explain = (...args: ReadonlyArray<string>) => secrets(["policy", "explain", ...args])
      const refused = yield* explain("prod_db")
      assert.strictEqual(refused.status, 0)
      assert.match(refused.stdout, /^refused: "prod_db" may not be printed, only used by exec \(policy rule 1\)$/m)
      const permitted = yield* explain("prod_db", "--command", "printenv", "--reason", "x")
      assert.match(permitted.stdout, /^permitted for at most 5m0s \(rule 1 of 2\)$/m)
      assert.match((yield* explain("unlisted")).stdout, /^not found: no policy rule permits it$/m)
      assert.match((yield* secrets(["policy", "check"])).stdout, /^rules: 2; each can apply$/m)
      assert.match(
        (yield* secrets(["list"])).stdout,
        /^the policy hides 1 secret from ".*": secrets policy explain NAME$/m
      )
      const settings = path.join(daemon().directory, "config.json")
      fs.chmodSync(settings, 0o666)
      const unsafe = yield* secrets(["policy", "check"])
      fs.chmodSync(settings, 0o600)
      assert.deepStrictEqual([unsafe.status, unsafe.stdout], [78, ""])
      assert.include(unsafe.stderr, "is writable by other users")
    })
  )

  it.live("is read again at SIGHUP, and a wrong one changes nothing", () =>
    Effect.gen(function* () {
      const { directory, secrets, signal, stderr } = daemon()
      const file = path.join(directory, "config.json")
      const hangup = (settings: object, said: string) =>
        Effect.promise(async () => {
          fs.writeFileSync(file, JSON.stringify(settings))
          const before = stderr().length
          signal("SIGHUP")
          while (!stderr().slice(before).includes(said)) await new Promise((resolve) => setTimeout(resolve, 10))
        })
      yield* hangup(
        { policy: [{ secrets: ["*"], client: ["x"] }] },
        "the policy stays as it is: config: policy[0].client"
      )
      assert.strictEqual((yield* secrets(["lease", "unlisted"])).status, 4)
      yield* hangup({ policy: [{ secrets: ["*"] }, { secrets: ["open"] }] }, "the policy is another one")
      assert.strictEqual((yield* secrets(["lease", "unlisted"])).stdout, "made-up-third")
      const check = yield* secrets(["policy", "check"])
      assert.strictEqual(check.status, 1)
      assert.include(check.stderr, "rule 2 is covered by 1")
      const routes = { api: { secret: "open", upstream: "https://api.example" } }
      yield* hangup(
        { policy: [{ secrets: ["*"] }, { secrets: ["open"] }], proxy: { routes } },
        "the proxy has other routes"
      )
      assert.match((yield* secrets(["proxy", "check", "api", "GET", "/x"])).stdout, /^api may be used: GET \/x/m)
      const loaded = auditOf(directory).filter(({ action }) => action === "policy_load")
      assert.deepStrictEqual(
        loaded.map(({ details = "" }) => details.replace(/[0-9a-f]{64}/, "HASH")),
        ["rules: 2, sha256:HASH", "rules: 2, sha256:HASH"]
      )
    })
  )
})
