/**
 * secrets requests: prints what waits for a person, approvals and missing secrets.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { nameWord } from "../../../domain/shellWord.ts"
import { defineCommand } from "../../command/Command.ts"
import { loadDaemon } from "../../command/settings.ts"
import { fetchRequests, requestRows } from "./openRequests.ts"

export const requestsCommand = defineCommand({
  name: "requests",
  summary: "Show what waits for a person: approvals and missing secrets",
  arity: [0, 0],
  flags: {
    watch: { type: "boolean", short: "w", summary: "refresh the list, and answer with a digit and y or n" }
  },
  examples: ["secrets requests", "secrets requests --watch", "secrets requests --json"],
  about: [
    "A rule of the policy with approval makes a lease wait here; a client asks here for a secret that is missing.",
    "Nothing is kept over a restart of the daemon: then the clients ask again."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const daemon = yield* loadDaemon(args)
    if (args.flag("watch")) {
      const { watchOpenRequests } = yield* Effect.promise(() => import("./watchOpenRequests.ts"))
      return yield* watchOpenRequests(daemon, args.flag("json"))
    }
    const found = yield* fetchRequests(daemon)
    const lines = requestRows(found.requests, yield* Clock.currentTimeMillis)
    const first = (kind: string) => found.requests.filter((request) => request.kind === kind).slice(0, 1)
    const hints = [
      ...first("approval").map(({ request_id: id }) => `Answer: secrets approve ${id}, or secrets deny ${id}`),
      ...first("missing").map(({ secret_name }) => `Store what is missing: secrets add ${nameWord(secret_name)}`)
    ]
    return { lines: found.total === 0 ? ["no open requests"] : [...lines, "", ...hints], result: found }
  })
})
