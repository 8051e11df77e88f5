/**
 * secrets approve: a person's yes to a request, or the end of an approval that still holds.
 *
 * The daemon takes a yes on its owner's socket, and on sockets with the role approve.
 */
import * as Effect from "effect/Effect"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { quote } from "../../../domain/goText.ts"
import { inGoUnits } from "../../../domain/spelledDuration.ts"
import { call } from "../../../rpc/client/client.ts"
import { defineCommand } from "../../command/Command.ts"
import { failUsage, fromClient } from "../../command/CommandError.ts"
import type { Problem } from "../../command/Output.ts"
import { loadDaemon } from "../../command/settings.ts"
import { requestExample, type ShownRequest } from "./openRequests.ts"
import { requirePerson } from "./person.ts"

/** Describes what was asked for, on one line. */
export const describeRequest = ({ client_id, program, secret_name, ttl, via }: ShownRequest): string =>
  [
    `${escapeValue(secret_name)} for ${escapeValue(client_id)}`,
    via === undefined ? "" : ` via ${escapeValue(via)}`,
    program === undefined ? "" : ` (${escapeValue(program)})`,
    ttl === undefined ? "" : `, TTL ${ttl}`
  ].join("")

const nothingHolds = (client: string, secret: string): Problem => ({
  message: `no approval of ${quote(client)} for ${quote(secret)} holds`,
  code: "not_found",
  fix: "See what was approved: secrets audit --action request_answer",
  exitStatus: exitStatus.notFound
})

export const approveCommand = defineCommand({
  name: "approve",
  summary: "Approve a lease that waits for a person",
  positionals: "ID | --revoke CLIENT SECRET",
  arity: [1, 2],
  flags: {
    for: {
      type: "string",
      value: "DURATION",
      summary: "how long the yes holds: once, or up to 8h (what the rule of the policy says)"
    },
    revoke: { type: "boolean", summary: "end the approvals of a client for a secret" }
  },
  examples: ["secrets approve KQTR", "secrets approve KQTR --for 15m", "secrets approve --revoke claude-code prod_db"],
  about: [
    "secrets requests shows the ids. A yes for a while holds for this client, secret and way, and for no other client.",
    "It refuses without a terminal and in the environment of an agent. That keeps out accidents: on one account it is no security boundary."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const [first = "", secret] = args.positionals
    const daemon = yield* loadDaemon(args)
    if (args.flag("revoke")) {
      if (secret === undefined)
        return yield* failUsage("--revoke needs a client and a secret", "See: secrets approve --help")
      const asked = { client_id: first, secret_name: secret }
      const { revoked } = yield* Effect.mapError(call(daemon, "approvals.revoke", asked, { revoked: 0 }), fromClient)
      const result = { ...asked, revoked }
      return revoked > 0
        ? { lines: [`approvals ended: ${revoked}`], result }
        : { result, problem: nothingHolds(first, secret) }
    }
    if (secret !== undefined) return yield* failUsage("approve takes one id", "For example: secrets approve KQTR")
    yield* requirePerson("approve")
    const answer = { request_id: first, answer: "approve", for: inGoUnits(args.option("for") ?? "") }
    const example = { ...requestExample, holds: "" }
    const done = yield* Effect.mapError(call(daemon, "approvals.answer", answer, example), fromClient)
    return { lines: [`approved ${done.holds}: ${describeRequest(done)}`], result: done }
  })
})
