/**
 * The handler of each method. A method without a handler does not compile.
 *
 * A handler reads its parameters, runs one program of the daemon and returns the result
 * as the protocol specification, section 4, lays it out. It decides nothing.
 */
import type * as Effect from "effect/Effect"
import type { DaemonInfo } from "../../daemon/lifecycle/DaemonInfo.ts"
import type { AuditLog } from "../../daemon/audit/AuditLog.ts"
import type { LeaseRepo } from "../../daemon/leases/LeaseRepo.ts"
import type { Restart } from "../../daemon/lifecycle/Restart.ts"
import type { RotationHook } from "../../daemon/secrets/RotationHook.ts"
import type { SecretStore } from "../../daemon/secrets/SecretStore.ts"
import type { OtelSink } from "../../otel/OtelSink.ts"
import type { MethodName } from "../protocol/methods.ts"
import type { MethodError } from "./errorReply.ts"
import { daemonHandlers } from "./handlers/daemon.ts"
import { leaseHandlers } from "./handlers/leases.ts"
import { secretHandlers } from "./handlers/secrets.ts"

/** The services that handlers use. */
export type MethodServices = DaemonInfo | SecretStore | LeaseRepo | AuditLog | OtelSink | RotationHook | Restart

type Handler = (params: unknown) => Effect.Effect<unknown, MethodError, MethodServices>

export const handlers: Readonly<Record<MethodName, Handler>> = {
  ...secretHandlers,
  ...leaseHandlers,
  ...daemonHandlers
}
