/**
 * Has the daemon record a decision about a project file, before the decision takes effect.
 */
import * as Effect from "effect/Effect"
import type { TrustDecision, TrustedProject } from "../../../domain/ProjectTrust.ts"
import { type DaemonAddress, call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { type CommandError, fromClient } from "../../command/CommandError.ts"
import { hostName } from "../lease.ts"

export const recordTrust = (
  daemon: DaemonAddress,
  decision: TrustDecision,
  { hash, path }: Pick<TrustedProject, "hash" | "path">
): Effect.Effect<void, CommandError> =>
  call(daemon, "secrets.recordTrust", { client_id: hostName(), decision, path, hash }, { success: literal(true) }).pipe(
    Effect.mapError(fromClient),
    Effect.asVoid
  )
