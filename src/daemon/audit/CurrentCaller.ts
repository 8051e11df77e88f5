/**
 * The caller on whose behalf a fiber works. Each connection sets it once; without that the
 * daemon acts for itself. The audit log names its socket, and operations keep to its scope.
 */
import * as Context from "effect/Context"
import { type Caller, owner } from "../../domain/Caller.ts"

export const CurrentCaller = Context.Reference<Caller>("agent-secrets/CurrentCaller", { defaultValue: () => owner })
