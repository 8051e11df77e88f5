/**
 * secrets revoke for more than one lease: the killswitch.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Daemon } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import { maybe } from "../../../rpc/protocol/likeness.ts"
import type { LineOf } from "../../command/Command.ts"
import { exitCode } from "../../command/exitCode.ts"
import { Failure, fromClient } from "../../command/Failure.ts"
import type { revoke } from "./revoke.ts"
import { loadDaemon } from "../../command/settings.ts"

const reportExample = {
  success: true,
  leases_revoked: maybe(0),
  rotated: [""],
  secrets_wiped: maybe(0),
  failures: [""]
}

/** Rotating everything may take as long as all the commands together. */
const patience = Duration.minutes(30)

export const revokeMany = Effect.fnUntraced(function* (line: LineOf<typeof revoke.flags>) {
  const daemon = yield* loadDaemon(line)
  const [rotate, wipe] = [line.given("rotate"), line.given("wipe")]
  return yield* pullKillswitch(rotate ? { ...daemon, timeout: patience } : daemon, rotate, wipe)
})

const pullKillswitch = Effect.fnUntraced(function* (daemon: Daemon, rotate: boolean, wipe: boolean) {
  const params = { rotate_all: rotate, wipe_store: wipe }
  const report = yield* Effect.mapError(call(daemon, "secrets.killswitch", params, reportExample), fromClient)
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
