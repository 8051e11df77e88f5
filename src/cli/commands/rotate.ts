/**
 * secrets rotate: runs the command that rotates a secret, or those of all secrets.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { quote } from "../../domain/goText.ts"
import type { DaemonAddress } from "../../rpc/client/client.ts"
import { call } from "../../rpc/client/client.ts"
import { optional, literal } from "../../rpc/protocol/shape.ts"
import { defineCommand } from "../command/Command.ts"
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

/** A rotation may take as long as its command; the daemon ends that itself. */
const patience = Duration.minutes(10)

export const rotateCommand = defineCommand({
  name: "rotate",
  summary: "Run the command that rotates a secret",
  positionals: "[NAME]",
  arity: [0, 1],
  completes: "secret",
  flags: { all: { type: "boolean", summary: "every secret that has such a command" } },
  examples: ["secrets rotate github_token", "secrets rotate --all"],
  run: Effect.fnUntraced(function* (args) {
    const [name] = args.positionals
    if ((name === undefined) !== args.flag("all")) {
      return yield* failUsage("name one secret, or all of them", "For instance: secrets rotate --all")
    }
    const asked = yield* loadDaemon(args)
    const daemon = { ...asked, timeout: args.option("timeout") === undefined ? patience : asked.timeout }
    if (name !== undefined) {
      const rotated = yield* Effect.mapError(rotateOne(daemon, name), fromClient)
      return {
        text: `rotated ${quote(name)}${ofOldValue(rotated.leases_of_old_value)}\n`,
        result: { name, ...rotated }
      }
    }
    const { secrets } = yield* Effect.mapError(call(asked, "secrets.list", {}, namesExample), fromClient)
    const results = yield* Effect.forEach(
      secrets.filter(({ rotate_via }) => rotate_via !== undefined),
      (secret) => Effect.map(Effect.result(rotateOne(daemon, secret.name)), (result) => ({ name: secret.name, result }))
    )
    const rotated = results.filter(({ result }) => Result.isSuccess(result)).map((one) => one.name)
    const failures = results.flatMap(({ result }) => (Result.isFailure(result) ? [result.failure.message] : []))
    if (failures.length > 0) {
      return yield* new CommandError({
        message: `rotated ${rotated.length} of ${results.length} secrets; ${failures.join("; ")}`,
        code: "generic_error",
        fix: "See what happened with: secrets audit",
        exitStatus: exitStatus.refused
      })
    }
    return { text: `rotated ${rotated.length} secrets\n`, result: { rotated } }
  })
})

const rotateOne = (daemon: DaemonAddress, name: string) =>
  call(daemon, "secrets.rotate", { secret_name: name }, rotatedExample)

const ofOldValue = (count: number | undefined): string =>
  count === undefined ? "" : `; ${count} leases are for the old value`
