/**
 * What the constructors of audit entries share: by outcome, and by what an entry is about.
 */
import * as path from "node:path"
import type { AuditFact } from "./AuditEntry.ts"
import type { LeaseName } from "./Lease.ts"
import type { AuditAction } from "./auditActions.ts"

export type FactMembers = Omit<AuditFact, "action" | "success">
export const doneFact = (action: AuditAction, members?: FactMembers): AuditFact => ({
  action,
  ...members,
  success: true
})
export const failedFact = (action: AuditAction, members?: FactMembers): AuditFact => ({
  action,
  ...members,
  success: false
})

/** Constructors of the facts that hold a lease, the name of a secret, or only details. */
export const ofLease = ({ clientId, id, secretName }: LeaseName) => ({
  secret_name: secretName,
  client_id: clientId,
  lease_id: id
})

export const leaseDone = (action: AuditAction) => (lease: LeaseName) => doneFact(action, ofLease(lease))
export const secretDone = (action: AuditAction) => (name: string) => doneFact(action, { secret_name: name })
export const doneWith = (action: AuditAction) => (details: string) => doneFact(action, { details })
export const failedWith = (action: AuditAction) => (details: string) => failedFact(action, { details })

/** What a client said about the use of a lease; only what it said is recorded, of `program` the last part. */
export type LeaseOrigin = Pick<AuditFact, "via" | "program" | "session" | "reason" | "run_id">

export const ofOrigin = (origin: LeaseOrigin): LeaseOrigin =>
  origin.program === undefined ? origin : { ...origin, program: path.basename(origin.program) }

/** Records that a request was rejected. `reason` holds no value. */
export const refusedFact = (requested: AuditFact, reason: string): AuditFact => ({
  ...requested,
  details: reason,
  success: false
})
