/**
 * secrets rotate: runs the rotation command of one secret, or of all secrets.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../domain/counted.ts"
import { quote } from "../../domain/goText.ts"
import { call, callLong, sharedTimeout } from "../../rpc/client/client.ts"
import { optional, literal } from "../../domain/shape.ts"
import { orSuggestName } from "../command/callForSecret.ts"
import { defineCommand } from "../command/Command.ts"
import { noticeWhenLate } from "../command/noticeWhenLate.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { CommandError, fromClient, failUsage } from "../command/CommandError.ts"
import { loadDaemon } from "../command/settings.ts"

const rotatedExample = {
  success: literal(true),
  output: optional(""),
  executed_at: "",
  leases_of_old_value: optional(0)
}
const namesExample = {
  secrets: [{ name: "", rotate_via: optional("") }]
}

/** For the reply alone: the daemon applies its own timeout to the rotation command. */
const rotationTimeout = Duration.minutes(10)

export const rotateCommand = defineCommand({
  name: "rotate",
  summary: "Run the rotation command of a secret",
  positionals: "[NAME]",
  arity: [0, 1],
  completes: "secret",
  flags: { all: { type: "boolean", summary: "rotate every secret that has a rotation command" } },
  examples: ["secrets rotate github_token", "secrets rotate --all"],
  run: Effect.fnUntraced(function* (args) {
    const [name] = args.positionals
    if ((name === undefined) !== args.flag("all")) {
      return yield* failUsage("expected either NAME or --all", "For example: secrets rotate github_token")
    }
    const address = yield* loadDaemon(args)
    const rest = yield* sharedTimeout(address)
    const timeout = args.option("timeout") === undefined ? rotationTimeout : address.timeout
    if (name !== undefined) {
      const asked = { secret_name: name }
      const rotating = callLong(address, timeout, "secrets.rotate", asked, rotatedExample)
      const rotated = yield* orSuggestName(address, name, asked, rotating).pipe(
        noticeWhenLate(rest, `secrets rotate: rotating ${quote(name)}`)
      )
      return {
        lines: [`rotated ${quote(name)}${leasesOfOldValue(rotated.leases_of_old_value)}`],
        result: { name, ...rotated }
      }
    }
    const { secrets } = yield* Effect.mapError(call(address, "secrets.list", { every: true }, namesExample), fromClient)
    const rotatable = secrets.filter(({ rotate_via }) => rotate_via !== undefined)
    const results = yield* Effect.forEach(rotatable, ({ name: each }) => {
      const rotating = call({ ...address, timeout }, "secrets.rotate", { secret_name: each }, rotatedExample)
      return Effect.map(Effect.result(rotating), (result) => ({ name: each, result }))
    }).pipe(noticeWhenLate(rest, `secrets rotate: rotating ${counted(rotatable.length, "secret")}`))
    const rotated = results.filter(({ result }) => Result.isSuccess(result)).map((one) => one.name)
    const failures = results.flatMap(({ result }) => (Result.isFailure(result) ? [result.failure.message] : []))
    if (failures.length > 0) {
      return yield* new CommandError({
        message: `rotated ${rotated.length} of ${counted(results.length, "secret")}: ${failures.join("; ")}`,
        code: "generic_error",
        fix: "See the audit log: secrets audit",
        exitStatus: exitStatus.rejected
      })
    }
    return { lines: [`rotated ${counted(rotated.length, "secret")}`], result: { rotated } }
  })
})

const leasesOfOldValue = (count: number | undefined): string =>
  count === undefined ? "" : `; ${counted(count, "lease")} still ${count === 1 ? "holds" : "hold"} the old value`
