/**
 * The audit entries about requests that wait, the policy, the daemon, the log itself and the team. One constructor for each kind.
 */
import type { AuditFact } from "./AuditEntry.ts"
import { formatGoDuration, millisecond } from "./GoDuration.ts"
import { type Answer, type OpenRequest, spanText, withWhy } from "./OpenRequest.ts"
import { counted } from "./counted.ts"
import { doneFact, doneWith, failedFact, failedWith, type FactMembers, ofOrigin } from "./factMakers.ts"

/** Records a request with an unknown method or invalid parameters. `reason` quotes no parameter. */
export const requestRefusedFact = (method: string, reason: string, secretName = "") =>
  failedFact("request_refused", { secret_name: secretName, details: `${method}: ${reason}` })

/** Records that a client waits for a person. */
export const requestOpenFact = (request: OpenRequest) =>
  doneFact("request_open", { ...ofRequest(request), details: `${request.id}: ${waitsFor[request.kind]}` })

const waitsFor = { approval: "a lease waits for an approval", missing: "a secret is missing" } as const

const ofRequest = ({ clientId, program, reason, secretName, session, via }: OpenRequest): FactMembers => ({
  secret_name: secretName,
  client_id: clientId,
  ...ofOrigin({
    ...(via !== undefined && { via }),
    ...(program !== undefined && { program }),
    ...(session !== undefined && { session }),
    ...(reason !== undefined && { reason })
  })
})

/** Records what a person answered; `by` is what asked one, if it was not a command. */
export const requestAnswerFact = (request: OpenRequest, answer: Answer, by: string): AuditFact => {
  const text = answer._tag === "Approve" ? `approved ${spanText(answer.span)}` : withWhy("denied", answer.why)
  const details = `${request.id}: ${text}${by === "" ? "" : ` (${by})`}`
  return { ...doneFact("request_answer", { ...ofRequest(request), details }), success: answer._tag === "Approve" }
}

/** Records that a request ended without an answer. */
export const requestEndFact = (request: OpenRequest, how: "stored" | "nobody answered" | "taken back"): AuditFact => ({
  ...doneFact("request_answer", { ...ofRequest(request), details: `${request.id}: ${how}` }),
  success: how === "stored"
})

/** Records that approvals of a client group for a secret were taken back. */
export const approvalRevokedFact = (secretName: string, client: string) =>
  doneFact("approval_revoke", { secret_name: secretName, client_id: client })

/** Records the policy that applies from here on, by its hash; none permits everything. */
export const policyFact = (rules: number | undefined, hash: string) =>
  doneFact("policy_load", { details: rules === undefined ? "there is no policy" : `rules: ${rules}, sha256:${hash}` })

export const startFact = (socketPath: string) => doneFact("daemon_start", { details: `listening on ${socketPath}` })
export const stopFact = doneFact("daemon_stop", { details: "daemon stopped gracefully" })
export const noStartFact = doneFact("daemon_stop", { details: "daemon stopped before it served" })
export const restartFact = doneFact("daemon_restart", { details: "graceful restart requested over RPC" })
export const heartbeatFact = failedWith("heartbeat_fail")

/** Records that the last daemon of this directory did not shut down cleanly. */
export const crashRecoveredFact = doneWith("daemon_crash_recovered")

/** Records that the daemon restarts too often after unclean exits. */
export const crashLoopFact = failedWith("crash_loop")

/** Records that the audit log or the lease file was damaged and how it was repaired. */
export const fileRepairedFact = doneWith("file_mended")

/** Records that entries of the log were changed or removed by another program. */
export const auditDamagedFact = failedWith("audit_damaged")

/** Records what a start found and the chain cannot show, such as a missing audit.head.json. */
export const auditFindingFact = failedWith("audit_finding")

/** Records that lines of the predecessor, which have no place in the chain, became part of the log. */
export const auditAdoptFact = doneWith("audit_adopt")

/** Records that a person accepted findings; `ids` are the hashes of their texts. */
export const auditAcceptFact = (ids: ReadonlyArray<string>) =>
  doneFact("audit_accept", {
    details: `${counted(ids.length, "finding", "is")} accepted: ${ids.join(" ")}`
  })

export const teamJoinFact = doneWith("team_join")
export const teamLeaveFact = doneWith("team_leave")

/** Record what this machine has signed about the machines of its team. */
export const machineAddFact = doneWith("machine_add")

export const machineRemoveFact = doneWith("machine_remove")
export const teamGroupFact = doneWith("team_group")

/** Records that a team's database had lost entries of this machine, which are there again. */
export const auditRestoredFact = (there: number, here: number) =>
  doneFact("audit_restored", {
    details: `the team's database ended at ${there}, and has the entries up to ${here} again`
  })

/** Records which entries of the other machines this one has seen. */
export const auditAnchorFact = doneWith("audit_anchor")

/** Records that a secret of a team is not used, because it is not what a machine of the team has written. */
export const valueRefusedFact = (secretName: string, reason: string) =>
  failedFact("value_refused", { secret_name: secretName, details: reason })

/** Records how many events were lost since the last such entry. */
export const sinkDroppedFact = (count: number) =>
  failedFact("sink_dropped", { details: `${counted(count, "event", "was")} lost` })

/** Records that the wall clock was set or the machine slept. Setting it back moves the expiry of the leases by as much. */
export const clockStepFact = (millis: number, leases: number) => {
  const by = formatGoDuration(BigInt(Math.abs(millis)) * millisecond)
  if (millis >= 0) return doneFact("clock_step", { details: `the clock went forward by ${by}, or the machine slept` })
  const details = `the clock was set back by ${by}; the expiry of ${counted(leases, "lease")} was moved back by as much`
  return doneFact("clock_step", { details, shift_ms: millis })
}
