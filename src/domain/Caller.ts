/**
 * Who sent a request, as far as the socket attests it: the role of the socket, and the secrets
 * and clients that it is limited to.
 *
 * A `client_id` is what a client says; a role is what the file system lets it be. The methods
 * of a role stand in `rpc/protocol/methods.ts`.
 */

/** The roles of sockets. The owner may do everything; the others may do what the table of methods lists. */
export const roles = ["owner", "operator", "lease", "use", "approve"] as const
export type Role = (typeof roles)[number]

export interface Caller {
  readonly role: Role
  /** What the audit log calls the socket; undefined for the daemon itself, and if there is only the owner's socket. */
  readonly socket: string | undefined
}

/** The daemon itself, and a client on the one socket of a daemon that has no others. */
export const owner: Caller = { role: "owner", socket: undefined }
