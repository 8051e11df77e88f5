/**
 * An emergency: what a person is asked before something is lost for good, and which values
 * are outside after everything was revoked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { runInTerminal } from "../harness/terminal.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const setup = Effect.gen(function* () {
  const home = yield* temporaryDirectory
  const daemon = yield* startDaemon({ home })
  const secrets = (line: string) => run(line.split(" "), { home })
  const typed = (line: string, answer?: string) => Effect.promise(() => runInTerminal(line, home, answer))
  yield* secrets("add db --value made-up-value")
  return { home, daemon, secrets, typed }
})

describe("revoke --all", () => {
  it.live("lists the values that were handed out and not changed since", () =>
    Effect.gen(function* () {
      const { secrets } = yield* setup
      assert.strictEqual((yield* secrets("revoke --all")).stdout, "revoked 0 leases\n")
      yield* secrets("add mail --value made-up-value")
      for (const line of ["lease db", "lease mail", "lease db --client-id other"]) yield* secrets(line)
      const { stderr, stdout } = yield* secrets("revoke --all")
      assert.match(
        stdout,
        /^revoked 3 leases\nValues that were handed out still work: .*secrets exec.*\.env.*\nRotate these .*:\n\nSECRET {2}LEASES {2}LAST\ndb {6}2 {7}\S+\nmail {4}1 {7}\S+\n$/
      )
      assert.strictEqual(stderr, "")
      yield* secrets("update mail --value made-up-too")
      const { result } = JSON.parse((yield* secrets("revoke --all --wipe --json")).stdout)
      const [{ last_leased_at, ...first }] = result.handed_out
      assert.deepStrictEqual(first, { secret_name: "db", leases: 2 })
      assert.strictEqual(new Date(last_leased_at).toString() === "Invalid Date", false)
      assert.deepInclude(result, { leases_revoked: 0, secrets_wiped: 2, handed_out_complete: true })
      assert.lengthOf(result.handed_out, 1)
    })
  )
})

describe("on a terminal", () => {
  it.live("delete asks, and deletes only after a yes", () =>
    Effect.gen(function* () {
      const { secrets, typed } = yield* setup
      for (const answer of ["n\r", "\r", "\u0004", "\u0003"]) {
        const { shown, status } = yield* typed("delete db", answer)
        assert.match(shown, /Delete "db"\? There is no way back.*\[y\/N\]/)
        assert.include(shown, "secrets delete: cancelled: nothing was deleted")
        assert.strictEqual(status, 1)
      }
      assert.strictEqual((yield* secrets("lease db")).status, 0)
      assert.include((yield* typed("delete db", "y\r")).shown, 'deleted "db"')
      assert.strictEqual((yield* secrets("lease db")).status, 4)
    })
  )

  it.live("a wipe asks, and --yes and --force ask nothing", () =>
    Effect.gen(function* () {
      const { secrets, typed } = yield* setup
      yield* secrets("add mail --value made-up-value")
      const { shown, status } = yield* typed("revoke --all --wipe", "no\r")
      assert.match(shown, /Wipe all 2 secrets\? There is no way back.*\[y\/N\]/)
      assert.include(shown, "nothing was revoked or wiped")
      assert.strictEqual(status, 1)
      assert.notInclude((yield* typed("delete mail --force")).shown, "[y/N]")
      const wiped = yield* typed("revoke --all --wipe --yes")
      assert.strictEqual(wiped.shown.split("\r\n")[0], "revoked 0 leases; wiped 1 secrets")
    })
  )

  it.live("revoke --all alone asks nothing", () =>
    Effect.gen(function* () {
      const { typed } = yield* setup
      assert.strictEqual((yield* typed("revoke --all")).shown, "revoked 0 leases\r\n")
    })
  )
})
