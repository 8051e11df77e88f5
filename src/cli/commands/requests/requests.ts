/**
 * secrets requests: prints what waits for a person, approvals and missing secrets.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
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
    const hints = [
      found.requests.some(({ kind }) => kind === "approval") ? "Answer: secrets approve ID, or secrets deny ID" : "",
      found.requests.some(({ kind }) => kind === "missing") ? "Store what is missing: secrets add SECRET" : ""
    ].filter(Boolean)
    return { lines: found.total === 0 ? ["no open requests"] : [...lines, "", ...hints], result: found }
  })
})
