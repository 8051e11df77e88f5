/**
 * secrets add --from-env: adds each variable of a dotenv file as a secret.
 *
 * The whole file is validated before anything is added. The daemon adds one secret at a
 * time, so the import can fail half-way. It reports each secret; a second run with --update
 * completes it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { escapeValue } from "../../../domain/escape.ts"
import { quote } from "../../../domain/goText.ts"
import { type ClientError, type DaemonAddress, call } from "../../../rpc/client/client.ts"
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
  /** Updates secrets that already exist. */
  readonly update: boolean
}

type Change = "added" | "updated" | "exists" | "failed"

interface Imported {
  readonly name: string
  readonly became: Change
  readonly reason?: string
}

export const addMany = Effect.fnUntraced(function* (daemon: DaemonAddress, { file, prefix, update }: Batch) {
  const parsed = parseDotenv(yield* readText(file))
  if (Result.isFailure(parsed)) {
    const { line, reason } = parsed.failure
    return yield* failUsage(
      `${escapeValue(file)}, line ${line}: ${reason}`,
      "Correct the file and try again. Nothing was added"
    )
  }
  const empty = parsed.success.filter(({ value }) => value === "").map(({ name }) => name)
  if (empty.length > 0) {
    return yield* failUsage(
      `${escapeValue(file)}: no value for ${empty.join(", ")}`,
      "Remove these variables, or give them values. Nothing was added"
    )
  }
  const results: Array<Imported> = []
  for (const { name, value } of parsed.success) {
    const outcome = yield* Effect.result(put(daemon, `${prefix}${name}`, value, update))
    if (Result.isSuccess(outcome)) {
      results.push({ name: `${prefix}${name}`, became: outcome.success })
      continue
    }
    const error = outcome.failure
    // Without a daemon each of the others would only time out.
    if (error._tag !== "RequestRejected")
      return yield* interrupted(fromClient(error), results.length, parsed.success.length)
    const became = exists(error) ? "exists" : "failed"
    results.push({ name: `${prefix}${name}`, became, reason: error.message })
  }
  return reportOf(results)
})

const put = (daemon: DaemonAddress, name: string, value: string, update: boolean): Effect.Effect<Change, ClientError> =>
  call(daemon, "secrets.add", { name, value }, doneExample).pipe(
    Effect.as("added" as const),
    Effect.catchIf(
      (error) => update && exists(error),
      () => Effect.as(call(daemon, "secrets.update", { name, value }, doneExample), "updated" as const)
    )
  )

const exists = (error: ClientError): boolean => error._tag === "RequestRejected" && error.tag === "SecretExists"

const interrupted = (failure: CommandError, done: number, all: number): CommandError =>
  new CommandError({
    ...failure,
    message: `${failure.message}; ${done} of ${all} secrets were processed before this error`
  })

const reportOf = (results: ReadonlyArray<Imported>) => {
  const left = results.filter(({ became }) => became === "exists" || became === "failed")
  const output: Output = {
    lines: results.filter((one) => !left.includes(one)).map(({ became, name }) => `${became} ${quote(name)}`),
    result: { secrets: results },
    problem:
      left.length === 0
        ? undefined
        : {
            message: `${left.length} of ${results.length} secrets were not added`,
            why: left.map(({ reason }) => reason ?? "").join("; "),
            fix: "To update secrets that already exist, add --update",
            code: "generic_error",
            exitStatus: exitStatus.rejected
          }
  }
  return output
}
