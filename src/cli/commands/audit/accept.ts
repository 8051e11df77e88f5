/**
 * secrets audit --accept: accepts what the verification finds now, for good. The daemon
 * records it, so the findings stay in the log; a later verification fails only for others.
 */
import * as Effect from "effect/Effect"
import { call, type DaemonAddress } from "../../../rpc/client/client.ts"
import { fromClient } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"

export const auditAccept = Effect.fnUntraced(function* (daemon: DaemonAddress) {
  const { accepted } = yield* Effect.mapError(
    call(daemon, "secrets.acceptFindings", {}, { accepted: [""] }),
    fromClient
  )
  const output: Output = {
    lines: accepted.length === 0 ? ["there is nothing to accept"] : accepted.map((finding) => `accepted: ${finding}`),
    result: { accepted }
  }
  return output
})
