/**
 * The handler of each method. A method without a handler does not compile.
 *
 * A handler decodes its parameters, calls one operation and encodes the result (protocol
 * specification, section 4). It has no rules of its own.
 */
import type * as Effect from "effect/Effect"
import type { MethodName } from "../protocol/methods.ts"
import { daemonHandlers } from "./handlers/daemon.ts"
import { exposureHandlers } from "./handlers/exposure.ts"
import { importHandlers } from "./handlers/imports.ts"
import { leaseHandlers } from "./handlers/leases.ts"
import { policyHandlers } from "./handlers/policy.ts"
import { projectHandlers } from "./handlers/projects.ts"
import { proxyHandlers } from "./handlers/proxy.ts"
import { requestHandlers } from "./handlers/requests.ts"
import { runHandlers } from "./handlers/runs.ts"
import { secretHandlers } from "./handlers/secrets.ts"

const all = {
  ...secretHandlers,
  ...importHandlers,
  ...leaseHandlers,
  ...exposureHandlers,
  ...policyHandlers,
  ...projectHandlers,
  ...runHandlers,
  ...proxyHandlers,
  ...requestHandlers,
  ...daemonHandlers
}

type Handled = ReturnType<(typeof all)[MethodName]>

/** Every failure of a method. */
export type MethodError = Effect.Error<Handled>

type Handler = (params: unknown) => Effect.Effect<unknown, MethodError, Effect.Services<Handled>>

export const handlers: Readonly<Record<MethodName, Handler>> = all
