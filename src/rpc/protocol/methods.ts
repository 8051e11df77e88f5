/**
 * The methods of the protocol: the request queue of each, whether a client may repeat it,
 * and the roles of the sockets through which it may come.
 *
 * The daemon dispatches and permits by this table, and the client retries by it. A new method
 * needs a line here, a handler and a test. This file imports no library: the fast path loads it.
 */
import type { Role } from "../../domain/Caller.ts"
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
  /** The roles that may call it besides the owner, who may call every method. */
  readonly roles: ReadonlyArray<Exclude<Role, "owner">>
  /** Parameters that only the owner may set: they run code as the daemon's user, or destroy the store. */
  readonly ownerParams?: ReadonlyArray<string>
  /** A value or a part of one is in the request or the reply, so a client checks first whose socket it is. */
  readonly hasValue?: true
  /**
   * The reply has a value, or what is computed from one, so it is withheld if the store is locked meanwhile. The value of a
   * lease is withheld as well if the daemon was frozen since it committed the lease.
   */
  readonly givesValue?: true | "lease"
}

const ownerOnly = [] as const
const operators = ["operator"] as const
const workers = ["operator", "lease", "use"] as const
const approvers = ["approve"] as const
const everyone = ["operator", "lease", "use", "approve"] as const

/** Running a command and replacing a value by its output. */
const rotation = ["rotate_via", "rotate_stdout", "rotate_via_set"] as const

export const methods = {
  "secrets.status": { queue: "immediate", retry: "idempotent", roles: everyone },
  "secrets.init": { queue: "immediate", retry: "idempotent", roles: operators },
  "secrets.list": { queue: "scan", retry: "idempotent", roles: workers },
  "secrets.show": { queue: "scan", retry: "idempotent", roles: workers, givesValue: true },
  "secrets.add": { queue: "write", retry: "once", roles: operators, ownerParams: rotation, hasValue: true },
  "secrets.import": { queue: "write", retry: "once", roles: operators, hasValue: true },
  "secrets.update": { queue: "write", retry: "idempotent", roles: operators, ownerParams: rotation, hasValue: true },
  "secrets.get": { queue: "immediate", retry: "idempotent", roles: operators },
  "secrets.delete": { queue: "write", retry: { doneIf: "SecretNotFound" }, roles: operators },
  "secrets.rotate": { queue: "immediate", retry: "once", roles: operators, hasValue: true },
  "secrets.health": { queue: "scan", retry: "idempotent", roles: operators },
  "secrets.fingerprints": { queue: "scan", retry: "idempotent", roles: ownerOnly, hasValue: true, givesValue: true },
  "secrets.identify": { queue: "scan", retry: "idempotent", roles: ownerOnly, hasValue: true, givesValue: true },
  "secrets.backup": { queue: "scan", retry: "idempotent", roles: ownerOnly, hasValue: true, givesValue: true },
  "secrets.restore": { queue: "write", retry: "idempotent", roles: ownerOnly, hasValue: true },
  "secrets.recordTrust": { queue: "immediate", retry: "idempotent", roles: workers },
  "secrets.lease": { queue: "immediate", retry: "idempotent", roles: workers, hasValue: true, givesValue: "lease" },
  "secrets.reportRejection": { queue: "immediate", retry: "idempotent", roles: workers },
  "secrets.leases": { queue: "scan", retry: "idempotent", roles: workers },
  "secrets.revoke": { queue: "immediate", retry: { doneIf: "LeaseNotFound" }, roles: workers },
  "secrets.revokeMatching": { queue: "scan", retry: "idempotent", roles: workers },
  "secrets.revokeAll": { queue: "immediate", retry: "idempotent", roles: operators },
  "secrets.killswitch": { queue: "immediate", retry: "idempotent", roles: operators, ownerParams: ["wipe_store"] },
  "secrets.lock": { queue: "immediate", retry: "idempotent", roles: operators },
  "secrets.unlock": { queue: "immediate", retry: "idempotent", roles: ownerOnly },
  "secrets.handedOut": { queue: "scan", retry: "idempotent", roles: operators },
  "secrets.exposure": { queue: "scan", retry: "idempotent", roles: operators },
  "secrets.audit": { queue: "scan", retry: "idempotent", roles: operators },
  "secrets.acceptFindings": { queue: "scan", retry: "idempotent", roles: ownerOnly },
  "secrets.explainPolicy": { queue: "immediate", retry: "idempotent", roles: operators },
  "runs.begin": { queue: "immediate", retry: "once", roles: workers },
  "runs.watch": { queue: "immediate", retry: "idempotent", roles: workers },
  "runs.end": { queue: "immediate", retry: "idempotent", roles: workers },
  "runs.list": { queue: "scan", retry: "idempotent", roles: workers },
  "proxy.open": { queue: "immediate", retry: "once", roles: workers },
  "proxy.status": { queue: "immediate", retry: "idempotent", roles: workers },
  "proxy.check": { queue: "immediate", retry: "idempotent", roles: workers },
  "secrets.request": { queue: "immediate", retry: "idempotent", roles: workers },
  "requests.list": { queue: "immediate", retry: "idempotent", roles: everyone },
  "requests.wait": { queue: "immediate", retry: "idempotent", roles: everyone },
  "approvals.wait": { queue: "immediate", retry: "idempotent", roles: everyone },
  "approvals.answer": { queue: "immediate", retry: "once", roles: approvers },
  "approvals.revoke": { queue: "immediate", retry: "idempotent", roles: approvers },
  "daemon.status": { queue: "scan", retry: "idempotent", roles: everyone },
  "daemon.metrics": { queue: "scan", retry: "idempotent", roles: operators },
  "daemon.restart": { queue: "immediate", retry: "once", roles: operators }
} as const satisfies Readonly<Record<string, MethodSpec>>

export type MethodName = keyof typeof methods

export const isMethodName = (text: string): text is MethodName => Object.hasOwn(methods, text)

/** Returns what a role may not do in a request, as the audit log records it; undefined if it may do all of it. */
export const forbiddenTo = (role: Role, method: MethodName, params: unknown): string | undefined => {
  if (role === "owner") return undefined
  const { ownerParams = [], roles }: MethodSpec = methods[method]
  if (!roles.includes(role)) return `the role ${role} may not call it`
  const given: object = typeof params === "object" && params !== null ? params : {}
  const param = ownerParams.find((name) => !isUnset(Reflect.get(given, name)))
  return param === undefined ? undefined : `the role ${role} may not set ${param}`
}

/** Returns whether a parameter says no more than an absent one. */
const isUnset = (value: unknown): boolean => value === undefined || value === null || value === "" || value === false
