/**
 * secrets deny: a person's no to a request. The same is then denied for ten minutes without a
 * question; `secrets approve` with the same id takes that back.
 */
import * as Effect from "effect/Effect"
import { call } from "../../../rpc/client/client.ts"
import { defineCommand } from "../../command/Command.ts"
import { fromClient } from "../../command/CommandError.ts"
import { loadDaemon } from "../../command/settings.ts"
import { describeRequest } from "./approve.ts"
import { requestExample } from "./openRequests.ts"

export const denyCommand = defineCommand({
  name: "deny",
  summary: "Deny a request that waits for a person",
  positionals: "ID",
  arity: [1, 1],
  flags: {
    why: { type: "string", value: "TEXT", summary: "the reason, which the client gets" }
  },
  examples: ["secrets deny KQTR", "secrets deny KQTR --why use-staging"],
  run: Effect.fnUntraced(function* (args) {
    const daemon = yield* loadDaemon(args)
    const answer = { request_id: args.positionals[0], answer: "deny", why: args.option("why") ?? "" }
    const done = yield* Effect.mapError(call(daemon, "approvals.answer", answer, requestExample), fromClient)
    return { lines: [`denied: ${describeRequest(done)}`], result: done }
  })
})
