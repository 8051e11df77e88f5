/**
 * What a command says about its leases: through what it takes the value, for which program,
 * in whose session, and why. The daemon records it, and a policy may ask for it.
 */
import type { Flag } from "./Command.ts"
import { type Problem, usageError } from "./Output.ts"

export interface LeaseOriginParams {
  readonly via?: string
  readonly program?: string
  readonly session?: string
  readonly reason?: string
  /** Whether a TTL above the maximum is shortened to it. */
  readonly shorten?: boolean
  /** The run that the lease is for, if it has begun. */
  readonly run_id?: string | undefined
}

export const reasonFlag = {
  type: "string",
  value: "TEXT",
  summary: "why, for the audit log; a policy may require it"
} as const satisfies Flag

export const approvalWaitFlag = {
  type: "string",
  value: "DURATION",
  summary: "how long to wait for a person to approve a lease, if the policy asks for it (10m on a terminal, else 0)"
} as const satisfies Flag

/** Returns the usage error of --approval-wait; undefined if it is a duration. This file loads no parser. */
export const approvalWaitError = (given: string | undefined): Problem | undefined =>
  given === undefined || /^(?:0+|(?:[0-9]+(?:\.[0-9]+)?(?:[wdhms]|ms))+)$/.test(given)
    ? undefined
    : usageError("--approval-wait must be a duration", "For example: --approval-wait 10m, or 0")

/** Variables in which agents name their session to the programs that they start. */
const sessionVariables = ["AGENT_SECRETS_SESSION", "CLAUDE_CODE_SESSION_ID"] as const

/** The longest name of a session, in bytes. */
const sessionLimit = 64

/** Returns the parameters to send: only what there is to say. */
export const originOf = (
  said: Omit<LeaseOriginParams, "session" | "reason">,
  reason: string | undefined
): LeaseOriginParams => {
  const session = sessionVariables.map((name) => process.env[name]).find(Boolean)
  return {
    ...said,
    ...(session !== undefined && Buffer.byteLength(session) <= sessionLimit && { session }),
    ...(reason !== undefined && { reason })
  }
}
