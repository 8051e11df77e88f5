/**
 * secrets revoke: ends one lease, or every lease there is.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Daemon } from "../rpc/client.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, fromClient, misuse } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Revoked = Schema.Struct({ success: Schema.Literal(true) })
const Report = Schema.Struct({
  success: Schema.Boolean,
  leases_revoked: Schema.optionalKey(Schema.Int),
  rotated: Schema.Array(Schema.String),
  secrets_wiped: Schema.optionalKey(Schema.Int),
  failures: Schema.Array(Schema.String)
})

/** Rotating everything may take as long as all the commands together. */
const patience = Duration.minutes(30)

export const revoke = define({
  name: "revoke",
  summary: "End a lease, or all of them",
  operands: "[LEASE_ID]",
  arity: [0, 1],
  flags: {
    all: { type: "boolean", summary: "the killswitch: end every active lease" },
    rotate: { type: "boolean", summary: "with --all: rotate every secret that can be" },
    wipe: { type: "boolean", summary: "with --all: remove every secret and the backup of the store" }
  },
  examples: ["secrets revoke 57e7cffb-eaea-424f-93dc-a3d421c94118", "secrets revoke --all"],
  run: Effect.fnUntraced(function* (line) {
    const [leaseId] = line.operands
    const [all, rotate, wipe] = [line.given("all"), line.given("rotate"), line.given("wipe")]
    if (!all && (rotate || wipe)) return yield* misuse("--rotate and --wipe go with --all", "secrets revoke --help")
    const daemon = yield* loadDaemon(line)
    if (all) return yield* pullKillswitch(rotate ? { ...daemon, timeout: patience } : daemon, rotate, wipe)
    if (leaseId === undefined) {
      return yield* misuse("no lease is named", "Name its id, or end all: secrets revoke --all")
    }
    yield* Effect.mapError(call(daemon, "secrets.revoke", { lease_id: leaseId }, Revoked), fromClient)
    return { text: `revoked ${leaseId}\n`, result: { lease_id: leaseId } }
  })
})

const pullKillswitch = Effect.fnUntraced(function* (daemon: Daemon, rotate: boolean, wipe: boolean) {
  const params = { rotate_all: rotate, wipe_store: wipe }
  const report = yield* Effect.mapError(call(daemon, "secrets.killswitch", params, Report), fromClient)
  const done = [
    report.leases_revoked === undefined ? [] : [`revoked ${report.leases_revoked} leases`],
    rotate ? [`rotated ${report.rotated.length} secrets`] : [],
    report.secrets_wiped === undefined ? [] : [`wiped ${report.secrets_wiped} secrets`]
  ].flat()
  if (!report.success) {
    return yield* new Failure({
      message: [...done, ...report.failures.map((failure) => `FAILED ${failure}`)].join("; "),
      code: "generic_error",
      fix: "Mend the cause and pull it again: what is done stays done",
      exitCode: exitCode.failed
    })
  }
  return {
    text: `${done.join("; ")}\n`,
    result: {
      leases_revoked: report.leases_revoked,
      ...(rotate ? { rotated: report.rotated } : {}),
      ...(wipe ? { secrets_wiped: report.secrets_wiped } : {})
    }
  }
})
