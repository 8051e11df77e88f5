/**
 * Whether the request of this line was sent once before, and its answer was lost: the
 * daemon may have done it already.
 */
import * as Context from "effect/Context"

export const PossiblyDelivered = Context.Reference<boolean>("agent-secrets/MaybeHeard", { defaultValue: () => false })
