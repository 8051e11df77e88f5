/**
 * The incident the other way round: fifty agents hold values, the killswitch is pulled, and the
 * tool alone tells who still has something, what must be changed, and what each of them did.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { sharedDaemon } from "../harness/sharedDaemon.ts"

const daemon = sharedDaemon()

describe("fifty agents and the killswitch", () => {
  it.live("leave three questions, which the tool answers alone", () =>
    Effect.gen(function* () {
      const { call, secrets } = daemon()
      const rotating = { value: "made up", rotate_via: "date +%N", rotate_stdout: true }
      yield* call("add", { name: "deploy_key", ...rotating })
      for (const name of ["orders_db", "unused"]) yield* call("add", { name, value: "made up" })
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, at) => at),
        (at) =>
          call("lease", {
            secret_name: at % 2 === 0 ? "orders_db" : "deploy_key",
            client_id: `agent-${at}/psql[${1000 + at}]`,
            via: "exec",
            program: "/usr/bin/psql"
          }),
        { concurrency: 10 }
      )
      const json = (...args: ReadonlyArray<string>) =>
        Effect.map(secrets([...args, "--json"]), ({ status, stdout }) => ({ status, ...JSON.parse(stdout).result }))
      yield* call("revokeAll")

      const held = yield* json("exposure", "orders_db")
      assert.deepStrictEqual([held.total, held.complete, held.open_handouts], [25, true, 0])
      assert.deepStrictEqual([held.clients[0].program, held.clients[0].active_until], ["psql", null])
      // Nobody has registered their programs: whether they have ended is not known.
      assert.deepStrictEqual([held.clients[0].unwatched, (yield* json("runs")).unwatched], [1, 50])
      const killed = yield* secrets(["revoke", "--all"])
      assert.include(killed.stdout, "50 programs are not known to have ended, and cannot be reached")
      const list = yield* json("exposure", "--client-id", "agent-*")
      assert.strictEqual(list.status, 1)
      assert.deepStrictEqual(list.secrets.map(({ clients, secret }: any) => [secret, clients]).toSorted(), [
        ["deploy_key", 25],
        ["orders_db", 25]
      ])
      const { entries } = yield* json("audit", "--client-id", "agent-7/psql[1007]")
      assert.deepStrictEqual(
        entries.map(({ action, secret_name }: any) => [action, secret_name]),
        [["lease_acquire", "deploy_key"]]
      )

      const walked = yield* json("exposure", "--client-id", "agent-*", "--rotate", "--yes")
      assert.deepStrictEqual([walked.status, walked.rotated], [1, ["deploy_key"]])
      assert.strictEqual(walked.to_change[0].secret, "orders_db")
      // The same value is not another one.
      yield* call("update", { name: "orders_db", value: "made up" })
      assert.strictEqual((yield* json("exposure", "orders_db")).total, 25)
      yield* call("update", { name: "orders_db", value: "another" })
      const after = yield* json("exposure", "--client-id", "agent-*")
      assert.deepStrictEqual([after.status, after.secrets.length], [0, 2])
      const before = yield* json("exposure", "orders_db", "--before-change", "--all")
      assert.deepStrictEqual([before.total, before.changed_by], [25, "secret_update"])
      assert.match(before.clients[0].client_id, /^agent-\d+\/psql\[\d+\]$/)
    })
  )
})
