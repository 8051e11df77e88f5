/**
 * secrets exposure --rotate: walks through the values that are not changed. Those with a rotation
 * command are rotated, after a question on a terminal; of the others it says what to type.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { quote } from "../../../domain/goText.ts"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { literal } from "../../../domain/shape.ts"
import type { Args } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { type ExposedReply, type ExposedRow, unchangedIn, wayToChange } from "./exposedSecrets.ts"

/** For one command: the daemon applies its own timeout to it. */
const rotationTimeout = Duration.minutes(10)

/** What became of one secret. */
interface Walked {
  readonly row: ExposedRow
  readonly outcome: "rotated" | "failed" | "declined" | "by hand"
  readonly why?: string
}

export const rotateExposed = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  found: ExposedReply,
  args: Pick<Args<{ yes: { type: "boolean" } }>, "flag">
) {
  const unchanged = unchangedIn(found)
  const asks = !args.flag("yes")
  if (asks && unchanged.some(({ rotate_via }) => rotate_via) && !isInteractive()) {
    return yield* failUsage("--rotate asks, and there is no terminal", "Rotate without a question: --yes")
  }
  const walked = yield* Effect.forEach(unchanged, (row) => walk(daemon, row, asks))
  const of = (outcome: Walked["outcome"]) => walked.filter((one) => one.outcome === outcome)
  const remaining = walked.length - of("rotated").length + found.total - found.secrets.length
  const result = {
    rotated: of("rotated").map(({ row }) => row.secret),
    declined: of("declined").map(({ row }) => row.secret),
    failed: of("failed").map(({ row, why }) => ({ secret: row.secret, message: why })),
    to_change: of("by hand").map(({ row }) => ({ secret: row.secret, how: wayToChange(row) })),
    complete: found.complete
  }
  return {
    lines: [
      ...walked.map(lineOf),
      ...(walked.length === 0 ? ["nothing is left to rotate"] : []),
      ...(found.complete ? [] : [`There may be others: ${found.incomplete_because.join("; ")}.`])
    ],
    result,
    problem:
      remaining === 0
        ? undefined
        : {
            message: `${counted(remaining, "secret")} ${remaining === 1 ? "is" : "are"} not changed`,
            code: "not_changed",
            fix: "Change them where they are used, then ask again",
            exitStatus: exitStatus.failed
          }
  } satisfies Output
})

const walk = Effect.fnUntraced(function* (daemon: DaemonAddress, row: ExposedRow, asks: boolean) {
  if (!row.rotate_via) return { row, outcome: "by hand" } satisfies Walked
  const question = `Rotate ${quote(row.secret)}? ${counted(row.clients, "client")}, last ${row.last}`
  if (asks && !(yield* confirm(question))) return { row, outcome: "declined" } satisfies Walked
  const params = { secret_name: row.secret }
  const rotating = call({ ...daemon, timeout: rotationTimeout }, "secrets.rotate", params, { success: literal(true) })
  const ended = yield* Effect.result(rotating)
  return (
    Result.isSuccess(ended) ? { row, outcome: "rotated" } : { row, outcome: "failed", why: ended.failure.message }
  ) satisfies Walked
})

const lineOf = ({ outcome, row, why = "" }: Walked): string => {
  const name = escapeValue(row.secret)
  if (outcome === "by hand") return `${name}: ${wayToChange(row)}`
  return `${name}: ${outcome}${why === "" ? "" : `: ${why}`}`
}
