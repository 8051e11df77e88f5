/**
 * The leases of a program that is renewed: which of them are of the values that it has.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import * as path from "node:path"
import { type LeasedRun, leaseRunAgain, takeUpParams } from "../../../../../src/cli/commands/project/run/registerRun.ts"
import { temporaryDirectory } from "../../../../support/temporary.ts"

/** A daemon that grants each lease; returns its socket, and the parameters that it got. */
const daemonWith = Effect.fnUntraced(function* (values: Readonly<Record<string, string>>) {
  const socketPath = path.join(yield* temporaryDirectory, "s")
  const got: Array<{ readonly secret_name: string; readonly run_id?: string }> = []
  const server = net.createServer((connection) =>
    connection.on("data", (piece) => {
      const { id, params } = JSON.parse(String(piece))
      got.push(params)
      const { secret_name: name } = params
      const result = { lease_id: `new-${name}`, value: values[name], expires_at: "2026-11-30T12:00:00Z" }
      connection.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`)
    })
  )
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(socketPath, () => resume(Effect.void))),
    () => Effect.sync(() => server.close())
  )
  return { socketPath, got }
})

const leased = (secret: string, value: string) => ({
  secret,
  variable: secret.toUpperCase(),
  ttl: "",
  value: Redacted.make(value),
  leaseId: `old-${secret}`,
  expiresAt: ""
})

describe("the leases of a program", () => {
  it.live("are renewed for its run, and a lease of another value is none of a value that it has", () =>
    Effect.gen(function* () {
      const { got, socketPath } = yield* daemonWith({ same: "1", changed: "another" })
      const held = [leased("same", "1"), leased("changed", "2")]
      const daemon = { socketPath, timeout: Duration.seconds(5) }
      const request = { daemon, clientId: "ci", secrets: held, origin: { via: "exec" }, waitUntil: 0 }
      const run: LeasedRun = {
        request,
        endTimeout: daemon.timeout,
        held,
        given: held,
        run: { runId: "r", cursor: 7 },
        end: { status: 0 }
      }
      yield* leaseRunAgain(run)
      assert.deepStrictEqual(got.map(({ run_id, secret_name }) => `${secret_name} ${run_id}`).toSorted(), [
        "changed r",
        "same r"
      ])
      assert.deepStrictEqual(
        run.held.map(({ leaseId }) => leaseId),
        ["new-same", "new-changed"]
      )
      // A daemon that has restarted would else take the program for one that has the new value.
      assert.deepInclude(takeUpParams(run), { lease_ids: "new-same,old-changed", run_id: "r", cursor: 7 })
    })
  )
})
