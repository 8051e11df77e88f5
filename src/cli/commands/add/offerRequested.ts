/**
 * The secrets that clients wait for: `secrets add` without a name offers them on a terminal.
 */
import * as Effect from "effect/Effect"
import { escapeValue } from "../../../domain/escape.ts"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { failUsage } from "../../command/CommandError.ts"
import { printNotice } from "../../command/Output.ts"
import { askOnTerminal } from "../../terminal/askOnTerminal.ts"

const listedExample = { requests: [{ request_id: "", secret_name: "", client_id: "", reason: optional("") }] }

/** Returns the name that a person chooses; undefined if no client waits for a secret. */
export const offerRequested = Effect.fnUntraced(function* (daemon: DaemonAddress) {
  const listing = call(daemon, "requests.list", { kind: "missing" }, listedExample)
  const { requests } = yield* Effect.orElseSucceed(listing, () => ({ requests: [] }))
  if (requests.length === 0) return undefined
  for (const [at, { client_id, reason = "", request_id, secret_name }] of requests.entries()) {
    const who = `${at + 1}  ${escapeValue(secret_name)}  for ${escapeValue(client_id)} (${request_id})`
    printNotice(reason === "" ? who : `${who}: ${escapeValue(reason)}`)
  }
  const answer = askOnTerminal(`Which one (1-${requests.length}): `)
  const chosen = requests[Number(answer) - 1]
  return chosen === undefined
    ? yield* failUsage(
        "no request was chosen",
        `Name the secret: secrets add NAME. To refuse one: secrets deny ${requests[0]?.request_id}`
      )
    : chosen.secret_name
})
