/**
 * The audit entries about leases, and about the programs that run with them. One constructor for each kind.
 */
import * as path from "node:path"
import type { AuditEntry, AuditFact } from "./AuditEntry.ts"
import { formatGoDuration, type GoDuration } from "./GoDuration.ts"
import type { Lease, LeaseFilter, LeaseName, TtlTooLong } from "./Lease.ts"
import { counted } from "./counted.ts"
import { doneFact, failedFact, failedWith, leaseDone, type LeaseOrigin, ofLease, ofOrigin } from "./factMakers.ts"

// Every lease makes these two, so each is one object, and copies no other.
export const acquireFact = (lease: Lease, ttl: GoDuration, origin: LeaseOrigin = {}): AuditFact => ({
  ...ofOrigin(origin),
  action: "lease_acquire",
  secret_name: lease.secretName,
  client_id: lease.clientId,
  lease_id: lease.id,
  details: `TTL: ${formatGoDuration(ttl)}`,
  success: true,
  expires_at: lease.expiresAt.text
})

export const replaceFact = (old: Lease, next: Lease, ttl: GoDuration): AuditFact => ({
  action: "lease_replace",
  secret_name: old.secretName,
  client_id: old.clientId,
  lease_id: old.id,
  details: `replaced by ${next.id}, TTL: ${formatGoDuration(ttl)}`,
  success: true
})

export const acquireRefusedFact = (secretName: string, clientId: string, details: string, origin: LeaseOrigin = {}) =>
  failedFact("lease_acquire", { secret_name: secretName, client_id: clientId, ...ofOrigin(origin), details })

export const ttlTooLongDetails = ({ maximum, requested }: TtlTooLong): string =>
  `TTL ${requested} exceeds max ${maximum}`

export const expireFact = leaseDone("lease_expire")
export const revokeFact = leaseDone("lease_revoke")

/** Records that a lease ended with the run that it was for. */
export const releaseFact = (lease: LeaseName, runId: string) =>
  doneFact("lease_revoke", { ...ofLease(lease), run_id: runId })

/** The details of a lease that its holder gave back before it was used. */
export const returnedMark = "returned"

/** Records that the holder of a lease gave it back: it concerns no program. */
export const returnFact = (lease: LeaseName) => doneFact("lease_revoke", { ...ofLease(lease), details: returnedMark })

export const revokeRefusedFact = (leaseId: string, reason = leaseUnknown) =>
  failedFact("lease_revoke", { lease_id: leaseId, details: reason })

/** Records that the holder of a lease gave it back, and that it was over already. */
export const returnRefusedFact = (leaseId: string) => revokeRefusedFact(leaseId, `${returnedMark}: ${leaseUnknown}`)

const leaseUnknown = "lease not found"

/** Records that all leases of a secret ended, even if there were none. The predecessor's text has no singular. */
export const revokeSecretFact = (secretName: string, count: number) =>
  doneFact("lease_revoke", { secret_name: secretName, details: `revoked ${count} leases` })

/** Records a request to end the leases of a client, a secret or both, before the entry of each that was active. */
export const revokeMatchingFact = ({ clientId, secretName }: LeaseFilter, count: number) =>
  doneFact("leases_revoke", {
    ...(secretName === undefined ? {} : { secret_name: secretName }),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    details: `revoked ${counted(count, "lease")}`
  })

/** Records that all leases ended. */
export const revokeAllFacts = (count: number) =>
  [
    doneFact("killswitch", { details: `revoked ${count} leases` }),
    doneFact("killswitch", { details: "all leases revoked" })
  ] as const

/** Records that the killswitch did not complete. */
export const killswitchFailedFact = failedWith("killswitch")

/** What the entries about a run hold of it. */
export interface RunFacts {
  readonly id: string
  readonly clientId: string
  /** The lease of each secret. */
  readonly leases: ReadonlyMap<string, string>
  readonly origin: LeaseOrigin
}

const ofRun = ({ clientId, id, origin }: RunFacts) => ({
  client_id: clientId,
  ...(origin.program === undefined ? {} : { program: path.basename(origin.program) }),
  run_id: id
})

/** Records that a program was given values; `after` is the entry after which an earlier daemon had its run. */
export const runBeginFact = (run: RunFacts, after?: number) => {
  const [only, ...others] = run.leases
  const details = [
    ...(after === undefined ? [] : [`taken up after entry ${after}`]),
    ...(others.length === 0 ? [] : [`${run.leases.size} leases: ${[...run.leases.values()].join(" ")}`])
  ].join("; ")
  const members = others.length === 0 && only !== undefined ? { secret_name: only[0], lease_id: only[1] } : {}
  return doneFact("run_begin", { ...members, ...ofOrigin(run.origin), ...ofRun(run), details })
}

/** Returns the ids of the leases with which a run began. */
export const leaseIdsOf = ({ details = "", lease_id: only }: Pick<AuditEntry, "lease_id" | "details">) =>
  only === undefined ? (/ leases: ([-0-9a-f ]+)$/.exec(details)?.[1]?.split(" ") ?? []) : [only]

export const runRefusedFact = (clientId: string, details: string) =>
  failedFact("run_begin", { client_id: clientId, details })

/** Records that the starter of a program is notified. */
export const runToldFact = (run: RunFacts, kind: string, secretName: string | undefined) =>
  doneFact("run_told", {
    ...(secretName === undefined ? {} : { secret_name: secretName }),
    ...ofRun(run),
    details: kind
  })

/** Records that another machine of the team ended or changed what programs here were given. */
export const teamNoticeFact = (kind: string, { clientId, leaseId, machine, secretName, seq }: TeamNoticeSource) =>
  doneFact("team_notice", {
    ...(secretName === undefined ? {} : { secret_name: secretName }),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    ...(leaseId === undefined ? {} : { lease_id: leaseId }),
    details: `${kind} on ${machine}, entry ${seq}`
  })

interface TeamNoticeSource {
  readonly machine: string
  /** The number of the entry there. */
  readonly seq: number
  readonly secretName?: string | undefined
  readonly clientId?: string | undefined
  readonly leaseId?: string | undefined
}

export const runEndFact = (run: RunFacts, details: string) => doneFact("run_end", { ...ofRun(run), details })

/** Describes the end of a run whose starter is gone. Its program may run on, with this process id. */
export const connectionLost = (pid?: number): string => `connection lost${pid === undefined ? "" : `, pid ${pid}`}`

/**
 * Records that the leases in leases.json, which another program wrote last, replace those of the log. They take effect
 * with the last of these entries. The newest comes first: `Exposure` counts those that are older than what it has.
 */
export const adoptFacts = (leases: ReadonlyArray<Lease>): ReadonlyArray<AuditFact> => {
  const details = `leases.json was written by another program; its leases, ${leases.length} in all, replace those of the log`
  return [
    doneFact("leases_adopt", { details }),
    ...leases
      .toSorted((a, b) => b.createdAt.millis - a.createdAt.millis)
      .map((lease) =>
        doneFact("lease_adopt", {
          ...ofLease(lease),
          created_at: lease.createdAt.text,
          expires_at: lease.expiresAt.text
        })
      ),
    doneFact("leases_adopted", { details })
  ]
}
