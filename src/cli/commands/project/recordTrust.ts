/**
 * Has the daemon record a decision about a project file, before the decision takes effect.
 */
import * as Effect from "effect/Effect"
import type { TrustDecision, TrustedProject } from "../../../domain/ProjectTrust.ts"
import { type DaemonAddress, call } from "../../../rpc/client/client.ts"
import { literal } from "../../../domain/shape.ts"
import { type CommandError, fromClient } from "../../command/CommandError.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { loadClientId, loadDaemon } from "../../command/settings.ts"

/** The daemon that records it, and as whose decision. */
export interface Recorder {
  readonly daemon: DaemonAddress
  readonly clientId: string
}

export const recorderFor = Effect.fnUntraced(function* (args: GlobalArgs) {
  const recorder: Recorder = { daemon: yield* loadDaemon(args), clientId: yield* loadClientId(args) }
  return recorder
})

export const recordTrust = (
  { clientId, daemon }: Recorder,
  decision: TrustDecision,
  { hash, path }: Pick<TrustedProject, "hash" | "path">
): Effect.Effect<void, CommandError> =>
  call(daemon, "secrets.recordTrust", { client_id: clientId, decision, path, hash }, { success: literal(true) }).pipe(
    Effect.mapError(fromClient),
    Effect.asVoid
  )
