/**
 * Whether this daemon replies, asked over its own socket as a client would.
 *
 * Any reply counts, also a refusal. A socket whose file is gone counts as alive: it is
 * reported elsewhere, and a restart of the process would not restore it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { request } from "./client.ts"

/** Fails with the reason if there is no reply in time. */
export const livenessProbe = (socketPath: string, within: Duration.Duration): Effect.Effect<void, string> =>
  request({ socketPath, timeout: within }, "secrets.status", {}).pipe(
    Effect.catchTag("RequestRefused", () => Effect.void),
    Effect.catchTag("DaemonUnavailable", (fault) =>
      fault.code === "ENOENT" ? Effect.void : Effect.fail(fault.message)
    ),
    Effect.mapError((fault) => (typeof fault === "string" ? fault : fault.message)),
    Effect.asVoid
  )
