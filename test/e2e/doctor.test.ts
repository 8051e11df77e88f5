/**
 * secrets doctor through the built command: a machine on which all is well, and one without a
 * daemon on which much is wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { rpc, startDaemon } from "../harness/daemon.ts"
import { type Ended, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const findingsOf = ({ stdout }: Ended): ReadonlyArray<any> => JSON.parse(stdout).result.findings

describe.concurrent("secrets doctor", () => {
  it.live("says of each check that it is well", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      yield* rpc(daemon.socket, "add", { name: "db", value: "a-made-up-value" })
      const ended = yield* run(["doctor"], { home })
      assert.deepStrictEqual([ended.status, ended.stderr], [0, ""], ended.stdout)
      for (const line of [
        /^(note|ok) {2,}program {4}agent-secrets \d/m,
        /^ok {7}settings {3}every setting is known$/m,
        /^ok {7}store {6}its key opens it$/m,
        /^ok {7}audit log {2}\d+ chained entries, intact$/m,
        new RegExp(`^ok {7}lock {7}held by process ${daemon.pid}$`, "m"),
        new RegExp(`^ok {7}daemon {5}process ${daemon.pid}, up \\d+s$`, "m"),
        /^ok {7}version {4}daemon and command are \d/m,
        /^\d+ ok, \d+ notes?, \d+ warnings?, 0 wrong$/m
      ])
        assert.match(ended.stdout, line)
      assert.notMatch(ended.stdout, /a-made-up-value/)
    })
  )

  it.live("needs no daemon, fails for what is wrong, and reports it without a name", () =>
    Effect.gen(function* () {
      const home = path.join(yield* temporaryDirectory, "jane-doe")
      const directory = path.join(home, ".agent-secrets")
      fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
      fs.writeFileSync(path.join(directory, "config.json"), '{ "janes_setting": "janes-value" }', { mode: 0o644 })
      fs.writeFileSync(path.join(directory, "secrets.age"), "janes store", { mode: 0o600 })
      const other = yield* temporaryDirectory
      fs.mkdirSync(path.join(other, ".agent-secrets"), { mode: 0o755 })
      fs.writeFileSync(path.join(other, ".agent-secrets/config.json"), "{ not JSON", { mode: 0o644 })
      // Each waits seconds for a daemon.
      const [text, report, broken] = yield* Effect.all(
        [run(["doctor"], { home }), run(["doctor", "--report"], { home }), run(["doctor", "--json"], { home: other })],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(text.status, 1)
      assert.match(text.stderr, /^secrets doctor: something is wrong: store, daemon\n/)
      assert.match(text.stdout, /^warning {2}settings {3}config\.json has 1 key .*\n {20}janes_setting\n/m)
      assert.match(text.stdout, /^wrong {4}store {6}its key is missing\n {20}\/.*identity\.age\n {20}Restore /m)
      assert.match(text.stdout, /^wrong {4}daemon {5}the daemon is not running\n.*\n {20}Start it with: /m)
      assert.strictEqual(report.status, 1)
      // The same findings, and nothing of whom.
      const findings = ({ stdout }: Ended) =>
        stdout
          .replaceAll(/\d+/g, "N")
          .split("\n")
          .filter((line) => /^(ok|note|warning|wrong) /.test(line))
      assert.deepStrictEqual(findings(report), findings(text))
      assert.notMatch(report.stdout + report.stderr, /jane|\/tmp|agent-secrets\//)
      assert.deepInclude(
        findingsOf(broken).find(({ check }) => check === "settings"),
        { verdict: "wrong", what: "config.json cannot be used" }
      )
    })
  )
})
