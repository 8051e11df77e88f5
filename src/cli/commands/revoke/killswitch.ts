/**
 * secrets revoke --all: the killswitch, and which values are outside nevertheless.
 *
 * The first line of the output is all that it was before; the rest is for the person.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { optional, type Shaped } from "../../../rpc/protocol/shape.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failDeclined, fromClient } from "../../command/CommandError.ts"
import type { revokeCommand } from "./revoke.ts"
import { loadDaemon } from "../../command/settings.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { table } from "../../terminal/table.ts"

const reportExample = {
  success: true,
  leases_revoked: optional(0),
  rotated: [""],
  secrets_wiped: optional(0),
  failures: [""]
}
const statusExample = { secrets_count: 0 }
const handedOutExample = {
  secrets: [{ secret_name: "", leases: 0, last_leased_at: "" }],
  total: 0,
  complete: true
}
type HandedOutReply = Shaped<typeof handedOutExample>

/** Rotating everything may take as long as all rotation commands together. */
const rotationTimeout = Duration.minutes(30)

export const pullKillswitch = Effect.fnUntraced(function* (args: ArgsOf<typeof revokeCommand.flags>) {
  const address = yield* loadDaemon(args)
  const [rotate, wipe] = [args.flag("rotate"), args.flag("wipe")]
  if (wipe && !args.flag("yes") && isInteractive()) yield* askBeforeWipe(address)
  const daemon = rotate ? { ...address, timeout: rotationTimeout } : address
  const params = { rotate_all: rotate, wipe_store: wipe }
  const report = yield* Effect.mapError(call(daemon, "secrets.killswitch", params, reportExample), fromClient)
  const done = [
    report.leases_revoked === undefined ? [] : [`revoked ${counted(report.leases_revoked, "lease")}`],
    rotate ? [`rotated ${counted(report.rotated.length, "secret")}`] : [],
    report.secrets_wiped === undefined ? [] : [`wiped ${counted(report.secrets_wiped, "secret")}`]
  ].flat()
  if (!report.success) {
    return yield* new CommandError({
      message: [...done, ...report.failures.map((failure) => `FAILED ${failure}`)].join("; "),
      code: "generic_error",
      fix: "Fix the cause and run it again. Completed steps stay done",
      exitStatus: exitStatus.failed
    })
  }
  // The leases are revoked already, so a failure here must not look like one of theirs.
  const outside = yield* Effect.orElseSucceed(call(address, "secrets.handedOut", {}, handedOutExample), () => undefined)
  return {
    lines: [done.join("; "), ...describe(outside)],
    result: {
      leases_revoked: report.leases_revoked,
      ...(rotate ? { rotated: report.rotated } : {}),
      ...(wipe ? { secrets_wiped: report.secrets_wiped } : {}),
      ...(outside === undefined ? {} : { handed_out: outside.secrets, handed_out_complete: outside.complete })
    }
  }
})

const askBeforeWipe = Effect.fnUntraced(function* (address: DaemonAddress) {
  const { secrets_count } = yield* Effect.mapError(call(address, "secrets.status", {}, statusExample), fromClient)
  const isSure = yield* confirm(
    `Wipe all ${counted(secrets_count, "secret")}? There is no way back: the store and its backup are removed`
  )
  if (!isSure) return yield* failDeclined("nothing was revoked or wiped")
})

/** Rows that fit on a screen with what is above them. */
const maxRows = 40

const describe = (outside: HandedOutReply | undefined): ReadonlyArray<string> => {
  const holders = "in programs that hold them, in what secrets exec started, in .env files"
  const warning = `Values that were handed out still work: ${holders} (secrets cleanup --all removes those).`
  if (outside === undefined) return [`${warning} Which ones: secrets audit --action lease_acquire`]
  const { complete, secrets, total } = outside
  const older = complete ? [] : ["The audit log has older entries, which were not read."]
  if (secrets.length === 0) return older
  const rows = secrets
    .slice(0, maxRows)
    .map(({ last_leased_at, leases, secret_name }) => [secret_name, `${leases}`, last_leased_at])
  const more = total > rows.length ? [`and ${total - rows.length} more: secrets revoke --all --json`] : []
  return [
    warning,
    "Rotate these at their providers; they were leased since they last changed:",
    "",
    ...table(["SECRET", "LEASES", "LAST"], rows, { whole: ["LEASES", "LAST"] }),
    ...more,
    ...older
  ]
}
