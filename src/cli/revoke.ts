/**
 * secrets revoke: ends one lease, or every lease there is.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient, misuse } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Revoked = Schema.Struct({ success: Schema.Literal(true) })
const AllRevoked = Schema.Struct({ success: Schema.Literal(true), leases_revoked: Schema.Int })

export const revoke = define({
  name: "revoke",
  summary: "End a lease, or all of them",
  operands: "[LEASE_ID]",
  arity: [0, 1],
  flags: { all: { type: "boolean", summary: "the killswitch: end every active lease" } },
  examples: ["secrets revoke 57e7cffb-eaea-424f-93dc-a3d421c94118", "secrets revoke --all"],
  run: Effect.fnUntraced(function* (line) {
    const [leaseId] = line.operands
    const all = line.given("all")
    if (leaseId === undefined && !all)
      return yield* misuse("no lease is named", "Name its id, or end all: secrets revoke --all")
    const daemon = yield* loadDaemon(line)
    if (all || leaseId === undefined) {
      const { leases_revoked: count } = yield* Effect.mapError(
        call(daemon, "secrets.revokeAll", {}, AllRevoked),
        fromClient
      )
      return { text: `revoked ${count} leases\n`, result: { leases_revoked: count } }
    }
    yield* Effect.mapError(call(daemon, "secrets.revoke", { lease_id: leaseId }, Revoked), fromClient)
    return { text: `revoked ${leaseId}\n`, result: { lease_id: leaseId } }
  })
})
