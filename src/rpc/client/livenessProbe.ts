/**
 * Whether this daemon answers: asked over its own socket, as a client would.
 *
 * Any reply counts, a refusal as well. A socket whose file is gone cannot be asked;
 * that is told of elsewhere, and to end the process would not bring it back.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { request } from "./client.ts"

/** Fails with the reason if no reply comes in time. */
export const livenessProbe = (socketPath: string, within: Duration.Duration): Effect.Effect<void, string> =>
  request({ socketPath, timeout: within }, "secrets.status", {}).pipe(
    Effect.catchTag("RequestRefused", () => Effect.void),
    Effect.catchTag("DaemonUnavailable", (fault) =>
      fault.code === "ENOENT" ? Effect.void : Effect.fail(fault.message)
    ),
    Effect.mapError((fault) => (typeof fault === "string" ? fault : fault.message)),
    Effect.asVoid
  )
