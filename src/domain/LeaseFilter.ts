/**
 * Which leases are meant: those of a client, of a secret, of both, or all.
 */
import type { Lease } from "./Lease.ts"

export interface LeaseFilter {
  readonly clientId: string | undefined
  readonly secretName: string | undefined
}

export const matchesFilter = ({ clientId, secretName }: LeaseFilter, lease: Lease): boolean =>
  (clientId === undefined || lease.clientId === clientId) &&
  (secretName === undefined || lease.secretName === secretName)
