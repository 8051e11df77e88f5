/**
 * secrets revoke --all: the killswitch.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { call } from "../../../rpc/client/client.ts"
import { optional } from "../../../rpc/protocol/shape.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import type { revokeCommand } from "./revoke.ts"
import { loadDaemon } from "../../command/settings.ts"

const reportExample = {
  success: true,
  leases_revoked: optional(0),
  rotated: [""],
  secrets_wiped: optional(0),
  failures: [""]
}

/** Rotating everything may take as long as all rotation commands together. */
const rotationTimeout = Duration.minutes(30)

export const pullKillswitch = Effect.fnUntraced(function* (args: ArgsOf<typeof revokeCommand.flags>) {
  const address = yield* loadDaemon(args)
  const [rotate, wipe] = [args.flag("rotate"), args.flag("wipe")]
  const daemon = rotate ? { ...address, timeout: rotationTimeout } : address
  const params = { rotate_all: rotate, wipe_store: wipe }
  const report = yield* Effect.mapError(call(daemon, "secrets.killswitch", params, reportExample), fromClient)
  const done = [
    report.leases_revoked === undefined ? [] : [`revoked ${report.leases_revoked} leases`],
    rotate ? [`rotated ${report.rotated.length} secrets`] : [],
    report.secrets_wiped === undefined ? [] : [`wiped ${report.secrets_wiped} secrets`]
  ].flat()
  if (!report.success) {
    return yield* new CommandError({
      message: [...done, ...report.failures.map((failure) => `FAILED ${failure}`)].join("; "),
      code: "generic_error",
      fix: "Fix the cause and run it again. Completed steps stay done",
      exitStatus: exitStatus.failed
    })
  }
  return {
    lines: [done.join("; ")],
    result: {
      leases_revoked: report.leases_revoked,
      ...(rotate ? { rotated: report.rotated } : {}),
      ...(wipe ? { secrets_wiped: report.secrets_wiped } : {})
    }
  }
})
