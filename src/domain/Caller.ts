/**
 * Who sent a request, as far as its socket attests it: the role of the socket, and the secrets
 * and clients that it is limited to.
 *
 * A `client_id` is what a client says; who may open a socket is what the file system lets it
 * do. The methods of each role stand in `rpc/protocol/methods.ts`.
 */
import * as Schema from "effect/Schema"
import type { AuditFact } from "./AuditEntry.ts"
import { type Lease } from "./Lease.ts"

/** The owner may do everything; the others may do what the table of methods lists. */
export const roles = ["owner", "operator", "lease", "use", "approve"] as const
export type Role = (typeof roles)[number]

/** The secrets and the leases that exist for a caller. */
export interface CallerScope {
  readonly permits: (secretName: string) => boolean
  /** What the client ids of its leases begin with; the daemon puts it before those that clients send. */
  readonly clientPrefix: string
}

export interface Caller {
  readonly role: Role
  /** What the audit log calls the socket; undefined for the daemon itself, and if the owner's socket is the only one. */
  readonly socket: string | undefined
  /** Undefined for no limits. */
  readonly scope: CallerScope | undefined
}

/** The daemon itself, and a client on the one socket of a daemon that has no others. */
export const owner: Caller = { role: "owner", socket: undefined, scope: undefined }

/** The one refusal of what the role of a socket does not permit. Its text must not depend on what exists. */
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", {}) {
  override get message() {
    return "access denied: the role of this socket does not permit it"
  }
}

export const permitsSecret = ({ scope }: Caller, secretName: string): boolean => scope?.permits(secretName) ?? true

/** Returns whether a caller may see and end a lease. */
export const ownsLease = (
  { scope }: Caller,
  { clientId, secretName }: Pick<Lease, "clientId" | "secretName">
): boolean => scope === undefined || (clientId.startsWith(scope.clientPrefix) && scope.permits(secretName))

/** Returns why a caller gets no lease of a secret, for the audit log; undefined if it gets one. */
export const leaseForbidden = (caller: Caller, secretName: string, isForProxy = false): string | undefined => {
  if (caller.role === "use" && !isForProxy) return "the role use may not lease a bare value"
  return permitsSecret(caller, secretName) ? undefined : "this socket is not for that secret"
}

/** Puts the prefix before the client id of a request. One that a client copied from a list of leases has it already. */
export const withClientPrefix = (params: unknown, { clientPrefix }: CallerScope): unknown => {
  if (typeof params !== "object" || params === null || !("client_id" in params)) return params
  const { client_id: given } = params
  return typeof given !== "string" || given === "" || given.startsWith(clientPrefix)
    ? params
    : { ...params, client_id: `${clientPrefix}${given}` }
}

/** Returns the client id that rules are asked about: a limited socket has its prefix, also if the client names no id. */
export const attestedClient = ({ scope }: Caller, clientId: string): string =>
  clientId === "" && scope !== undefined ? scope.clientPrefix : clientId

/** Names the socket in the facts of a request. */
export const factsOf = ({ socket }: Caller, facts: ReadonlyArray<AuditFact>): ReadonlyArray<AuditFact> =>
  socket === undefined ? facts : facts.map((fact) => ({ ...fact, socket }))
