/** How a machine connects: what the driver is given, and the files that are refused. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { execFileSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { connectionOptions } from "../../../src/daemon/team/connect.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const authority = fs.readFileSync("test/fixtures/authority.pem", "utf8")

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
      const ca = yield* fileOf(authority)
      const password_file = yield* fileOf("*:*:*:*:made-up")
      const url = "postgres://as_m1@db.example.org:6432/s?sslmode=verify-full"
      const remote = yield* optionsOf({ url, ca, password_file })
      assert.deepInclude(remote, { host: "db.example.org", port: 6432, database: "s", username: "as_m1" })
      assert.deepStrictEqual(remote.ssl, {
        servername: "db.example.org",
        rejectUnauthorized: true,
        ca: authority
      })
      const address = yield* optionsOf({ url: "postgres://as_m1@192.0.2.1/s?sslmode=verify-full", password_file })
      assert.deepStrictEqual(address.ssl, { rejectUnauthorized: true })
      assert.strictEqual(address.host, "192.0.2.1")
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
        "*:*:secrets:as_m1:",
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
      const url = "postgres://a@h/s?sslmode=verify-full"
      const password_file = yield* fileOf("*:*:*:*:made-up")
      const directory = yield* temporaryDirectory
      const [link, pipe] = [path.join(directory, "link"), path.join(directory, "pipe")]
      fs.symlinkSync(open, link)
      execFileSync("mkfifo", ["-m", "600", pipe])
      const cert = yield* fileOf(authority, 0o644)
      const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
      const otherKey = yield* fileOf(other.export({ type: "pkcs8", format: "pem" }).toString())
      const nothing = yield* fileOf("")
      for (const [given, reason] of [
        [{ password_file: link }, /link can be read by others; its mode must be 0600$/],
        [{ password_file: pipe }, /pipe is not a file$/],
        [{ password_file: directory }, /is not a file$/],
        [{ url, password_file, ca: nothing }, /^config: team.ca: .*file has no certificate in PEM$/],
        [{ url, cert: nothing, key: otherKey }, /^config: team.cert: .* has no certificate in PEM$/],
        [{ url, cert, key: nothing }, /^config: team.key: .* has no private key in PEM without a passphrase$/],
        [{ url, cert, key: otherKey }, /^config: team.key: it is not the key of the certificate team.cert$/],
        [{ password_file: open }, /^config: team.password_file: .*file can be read by others; its mode must be 0600$/],
        [{ password_file: empty }, /has no line for this role$/],
        [{ password_file: `${empty}-missing` }, /no such file/],
        [{ url, cert, key }, /^config: team.key: .*file can be read by others/]
      ] as const) {
        const { exitStatus, message } = yield* Effect.flip(optionsOf(given))
        assert.match(message, reason)
        assert.strictEqual(exitStatus, 78)
        assert.notInclude(message, "made-up")
      }
    })
  )
})
