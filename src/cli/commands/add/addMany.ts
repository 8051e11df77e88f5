/**
 * secrets add --from-env: each variable of a dotenv file as a secret.
 *
 * The file is read whole and must be right before anything is added. The daemon takes
 * one secret at a time, so it can end half-way; each is told as it went, and doing it
 * again with --update finishes it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { quote } from "../../../domain/goText.ts"
import type { ClientError, DaemonAddress } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { parseDotenv } from "./dotenv.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, fromClient, failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { readText } from "./readValue.ts"

const doneExample = { success: literal(true) }

export interface Batch {
  readonly file: string
  readonly prefix: string
  /** Gives those that are there already a new value. */
  readonly update: boolean
}

type Became = "added" | "updated" | "exists" | "failed"

export const addMany = Effect.fnUntraced(function* (daemon: DaemonAddress, { file, prefix, update }: Batch) {
  const parsed = parseDotenv(yield* readText(file))
  if (Result.isFailure(parsed)) {
    const { line, reason } = parsed.failure
    return yield* failUsage(`${file}, line ${line}: ${reason}`, "Nothing was added. Correct the file and try again")
  }
  const empty = parsed.success.filter(({ value }) => value === "").map(({ name }) => name)
  if (empty.length > 0) {
    return yield* failUsage(
      `no value for ${empty.join(", ")} in ${file}`,
      "Nothing was added. Take them out, or give them values"
    )
  }
  const results: Array<{ readonly name: string; readonly became: Became; readonly reason?: string }> = []
  for (const { name, value } of parsed.success) {
    const outcome = yield* Effect.result(put(daemon, `${prefix}${name}`, value, update))
    if (Result.isSuccess(outcome)) {
      results.push({ name: `${prefix}${name}`, became: outcome.success })
      continue
    }
    const error = outcome.failure
    // Where the daemon is away, each of the rest would wait for it in vain.
    if (error._tag !== "Refused") return yield* broken(fromClient(error), results.length, parsed.success.length)
    const became = exists(error) ? "exists" : "failed"
    results.push({ name: `${prefix}${name}`, became, reason: error.message })
  }
  return told(results)
})

const put = (daemon: DaemonAddress, name: string, value: string, update: boolean): Effect.Effect<Became, ClientError> =>
  call(daemon, "secrets.add", { name, value }, doneExample).pipe(
    Effect.as("added" as const),
    Effect.catchIf(
      (error) => update && exists(error),
      () => Effect.as(call(daemon, "secrets.update", { name, value }, doneExample), "updated" as const)
    )
  )

const exists = (error: ClientError): boolean => error._tag === "Refused" && error.tag === "SecretExists"

const broken = (failure: CommandError, done: number, all: number): CommandError =>
  new CommandError({ ...failure, message: `${failure.message}; ${done} of ${all} secrets were seen to before` })

const told = (results: ReadonlyArray<{ readonly name: string; readonly became: Became; readonly reason?: string }>) => {
  const left = results.filter(({ became }) => became === "exists" || became === "failed")
  const output: Output = {
    text: results
      .filter((one) => !left.includes(one))
      .map(({ became, name }) => `${became} ${quote(name)}\n`)
      .join(""),
    result: { secrets: results },
    problem:
      left.length === 0
        ? undefined
        : {
            message: `${left.length} of ${results.length} secrets were not added`,
            why: left.map(({ reason }) => reason).join("; "),
            fix: "To give those that are there a new value: --update",
            code: "generic_error",
            exitStatus: exitStatus.refused
          }
  }
  return output
}
