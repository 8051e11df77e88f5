/**
 * What a helper protocol is: how another program asks for a credential, and how it gets one.
 *
 * A protocol plans: it reads the request and names the secrets, or what to answer without any. It
 * renders what was leased. Sockets, leases, time limits and printing are `answer.ts`.
 */
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import type { Problem } from "../../command/Output.ts"

export interface HelperProtocol {
  /** Returns whether standard input is complete before its end; a protocol without it reads none. */
  readonly isComplete?: (input: string) => boolean
  /** Its requests are lines, each with an answer; this is printed before the first. */
  readonly greeting?: string
  /** It takes the name of a secret, and has no targets. */
  readonly takesName?: true
  /** The TTL if nothing names one, and the least one in seconds. */
  readonly ttl?: string
  readonly minTtl?: number
  readonly plan: (call: HelperCall) => HelperPlan
  /** Returns what the program gets where there is no credential; by default nothing but the problem on standard error. */
  readonly failure?: (problem: Problem) => Partial<HelperAnswer>
}

export interface HelperCall {
  /** The arguments after the protocol. */
  readonly words: ReadonlyArray<string>
  /** Standard input, or one line of it. */
  readonly input: string
  /** The section `helpers` of config.json. */
  readonly targets: HelperTargets | undefined
  /** What --name, --username and --raw say. */
  readonly name: string | undefined
  readonly username: string | undefined
  readonly raw: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What goes to the program. */
export interface HelperAnswer {
  readonly stdout: string
  readonly status: number
}

export type HelperPlan =
  | { readonly kind: "answer"; readonly answer: HelperAnswer }
  | { readonly kind: "problem"; readonly problem: Problem }
  | HelperLease
  /** The target rejected what it was given of this secret. */
  | { readonly kind: "rejected"; readonly target: string; readonly secret: string }

export interface HelperLease {
  readonly kind: "lease"
  /** For the client id. */
  readonly target: string
  readonly secrets: ReadonlyArray<string>
  /** In Go's units. */
  readonly ttl?: string | undefined
  /** It answers also where some of the secrets are missing. */
  readonly mayMiss?: true
  /** Returns the answer, or why the values do not fit the protocol. */
  readonly render: (leased: HelperLeases) => HelperAnswer | Problem
}

export interface HelperLeases {
  readonly valueOf: (secret: string) => string
  /** Why there is no value; undefined if there is one. */
  readonly problemOf: (secret: string) => Problem | undefined
  /** When the first lease ends, in milliseconds. */
  readonly expiry: number
  /** The same in UTC, to the second. */
  readonly expiresAt: string
}

export const answered = (stdout: string, status: number = exitStatus.done): HelperAnswer => ({ stdout, status })
export const answer = (stdout: string, status?: number): HelperPlan => ({
  kind: "answer",
  answer: answered(stdout, status)
})

/** Rejects a request, or a value that the protocol cannot carry. */
export const unfit = (message: string, fix: string): Problem => ({
  message,
  fix,
  code: "data_error",
  exitStatus: exitStatus.unfit
})

export const noTarget = (protocol: string, target: string): HelperPlan => ({
  kind: "problem",
  problem: {
    message: `${protocol} has no target ${JSON.stringify(target)}`,
    fix: `Add it to helpers.${protocol} in config.json: secrets helper config ${protocol}`,
    code: "not_found",
    exitStatus: exitStatus.notFound
  }
})

/** What most targets have. */
export interface SecretTarget {
  readonly secret: string
  readonly username?: string | undefined
  readonly ttl?: bigint | undefined
}

/** Returns the TTL of a target as a request has it. */
export const ttlOf = ({ ttl }: { readonly ttl?: bigint | undefined }): string | undefined =>
  ttl === undefined ? undefined : `${ttl}ns`

/** Plans to lease one secret whose value is one line. */
export const leaseOne = (
  key: string,
  target: SecretTarget,
  render: (value: string, leased: HelperLeases) => string
): HelperPlan => ({
  kind: "lease",
  target: key,
  secrets: [target.secret],
  ttl: ttlOf(target),
  render: (leased) => {
    const value = oneLine(leased.valueOf(target.secret))
    return typeof value === "string" ? answered(render(value, leased)) : value
  }
})

/** Returns the value as one line; a problem if it is several. */
export const oneLine = (value: string): string | Problem => {
  const line = value.replace(/\r?\n$/, "")
  return /[\n\0]/.test(line)
    ? unfit("the value has several lines", "Use a secret of one line; helper print has --raw")
    : line
}

/** Returns a target by its key, and never what every object has. */
export const targetNamed = <Target>(
  targets: Readonly<Record<string, Target>> | undefined,
  key: string
): Target | undefined => (targets !== undefined && Object.hasOwn(targets, key) ? targets[key] : undefined)
