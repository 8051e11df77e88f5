/** How a machine connects: what the driver is given, and the files that are refused. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { connectionOptions } from "../../../src/daemon/team/connect.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const optionsOf = (given: object) => {
  const team = { name: "m1", url: "postgres://as_m1@localhost/secrets", ...given }
  const { config } = Result.getOrThrow(decodeConfig(JSON.stringify({ team }), "/home/a"))
  return config.team === undefined ? Effect.die("no team") : connectionOptions(config.team)
}

const fileOf = Effect.fnUntraced(function* (contents: string, mode = 0o600) {
  const file = path.join(yield* temporaryDirectory, "file")
  fs.writeFileSync(file, contents, { mode })
  return file
})

describe("the connection of a machine", () => {
  it.effect("verifies the server with its name, unless it is on this machine", () =>
    Effect.gen(function* () {
      const ca = yield* fileOf("the certificate of the authority")
      const remote = yield* optionsOf({ url: "postgres://as_m1@db.example.org:6432/s?sslmode=verify-full", ca })
      assert.deepInclude(remote, { host: "db.example.org", port: 6432, database: "s", username: "as_m1" })
      assert.deepStrictEqual(remote.ssl, {
        servername: "db.example.org",
        rejectUnauthorized: true,
        ca: "the certificate of the authority"
      })
      const local = yield* optionsOf({ url: "postgres://as_m1@localhost/s?host=/run/pg" })
      assert.isUndefined(local.ssl)
      assert.strictEqual(local.host, "/run/pg")
      assert.strictEqual(local.startupParameters?.["synchronous_commit"], "on")
    })
  )

  it.effect("finds its password by server, database and role", () =>
    Effect.gen(function* () {
      const lines = [
        "# a comment",
        "other:*:*:as_m1:wrong",
        "*:5432:secrets:as_m2:wrong",
        "*:*:secrets:as_m1:a\\:b\\\\c"
      ]
      const { password } = yield* optionsOf({ password_file: yield* fileOf(lines.join("\n")) })
      assert.isTrue(Redacted.isRedacted(password))
      assert.strictEqual(Redacted.isRedacted(password) ? Redacted.value(password) : "", "a:b\\c")
    })
  )

  it.effect("refuses a file that others can read, that is missing, or that has no line for the role", () =>
    Effect.gen(function* () {
      const open = yield* fileOf("*:*:*:as_m1:made-up", 0o640)
      const empty = yield* fileOf("*:*:*:as_m2:made-up")
      const key = yield* fileOf("a key", 0o644)
      for (const [given, reason] of [
        [{ password_file: open }, /^config: team.password_file: .*file can be read by others; its mode must be 0600$/],
        [{ password_file: empty }, /has no line for this role$/],
        [{ password_file: `${empty}-missing` }, /no such file/],
        [
          { url: "postgres://a@h/s?sslmode=verify-full", cert: key, key },
          /^config: team.key: .*file can be read by others/
        ]
      ] as const) {
        const { exitStatus, message } = yield* Effect.flip(optionsOf(given))
        assert.match(message, reason)
        assert.strictEqual(exitStatus, 78)
        assert.notInclude(message, "made-up")
      }
    })
  )
})
