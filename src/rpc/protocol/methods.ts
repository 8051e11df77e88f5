/**
 * The methods of the protocol: the request queue of each, and whether a client may
 * repeat it.
 *
 * The daemon dispatches by this table and the client retries by it. A new method needs a
 * line here, a handler and a test. This file imports no library: the fast path loads it.
 */
import type { ErrorTag } from "./errorTags.ts"

export interface MethodSpec {
  /**
   * "immediate" uses no queue. "write" changes the store, and "scan" reads the log or
   * every lease: each of these runs one request at a time.
   */
  readonly queue: "immediate" | "write" | "scan"
  /**
   * What a client does when the connection ended before the reply. It sends an idempotent
   * request again, and one that may run only once never. A request that ends something has
   * succeeded if the repetition fails with the tag of `doneIf`.
   */
  readonly retry: "idempotent" | "once" | { readonly doneIf: ErrorTag }
}

export const methods = {
  "secrets.status": { queue: "immediate", retry: "idempotent" },
  "secrets.init": { queue: "immediate", retry: "idempotent" },
  "secrets.list": { queue: "scan", retry: "idempotent" },
  "secrets.add": { queue: "write", retry: "once" },
  "secrets.update": { queue: "write", retry: "idempotent" },
  "secrets.get": { queue: "immediate", retry: "idempotent" },
  "secrets.delete": { queue: "write", retry: { doneIf: "SecretNotFound" } },
  "secrets.rotate": { queue: "immediate", retry: "once" },
  "secrets.health": { queue: "scan", retry: "idempotent" },
  "secrets.fingerprints": { queue: "scan", retry: "idempotent" },
  "secrets.identify": { queue: "scan", retry: "idempotent" },
  "secrets.recordTrust": { queue: "immediate", retry: "idempotent" },
  "secrets.lease": { queue: "immediate", retry: "idempotent" },
  "secrets.leases": { queue: "scan", retry: "idempotent" },
  "secrets.revoke": { queue: "immediate", retry: { doneIf: "LeaseNotFound" } },
  "secrets.revokeMatching": { queue: "scan", retry: "idempotent" },
  "secrets.revokeAll": { queue: "immediate", retry: "idempotent" },
  "secrets.killswitch": { queue: "immediate", retry: "idempotent" },
  "secrets.audit": { queue: "scan", retry: "idempotent" },
  "daemon.status": { queue: "scan", retry: "idempotent" },
  "daemon.metrics": { queue: "scan", retry: "idempotent" },
  "daemon.restart": { queue: "immediate", retry: "once" }
} as const satisfies Readonly<Record<string, MethodSpec>>

export type MethodName = keyof typeof methods

export const isMethodName = (text: string): text is MethodName => Object.hasOwn(methods, text)
