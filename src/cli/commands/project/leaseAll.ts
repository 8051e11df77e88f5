/**
 * Leases several secrets, all or none: if one is rejected, the granted leases are revoked.
 *
 * It is uninterruptible, since an interrupted request could leave a lease active. Each request
 * has a timeout. A lease whose reply timed out stays active until it expires.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { type EnvVariable, variablePattern } from "../../../domain/envFile.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { referenceText, referredValue, withoutMember } from "../../../domain/reference.ts"
import { type Timestamp, parseTimestamp } from "../../../domain/Timestamp.ts"
import { type DaemonAddress, call, sharedTimeout } from "../../../rpc/client/client.ts"
import { literal } from "../../../domain/shape.ts"
import { isErrorTag } from "../../../rpc/protocol/errorTags.ts"
import { callForSecret } from "../../command/callForSecret.ts"
import { CommandError } from "../../command/CommandError.ts"
import type { LeaseOriginParams } from "../../command/leaseOrigin.ts"
import { awaitAnswer } from "../requests/awaitAnswer.ts"
import type { RequestedSecret } from "./requestedSecrets.ts"

/** Below the connection limit of the daemon, for the sake of other clients. */
const concurrency = 8
/** Higher, because each request may wait for a daemon that does not answer. */
const revokeConcurrency = 32
/** Limits how long a daemon that does not answer delays the exit. */
export const revokeTimeout = Duration.seconds(2)

const grantedExample = { lease_id: "", value: "", expires_at: "" }
const revokedExample = { success: literal(true) }

export interface LeasedSecret extends RequestedSecret {
  readonly value: Redacted.Redacted
  readonly leaseId: string
  readonly expiresAt: string
}

/** What is leased, for whom and from where. */
export interface LeaseRequest {
  readonly daemon: DaemonAddress
  readonly clientId: string
  readonly secrets: ReadonlyArray<RequestedSecret>
  readonly origin: LeaseOriginParams
  /** Until when to wait for a person (`endOfWait`). */
  readonly waitUntil: number
  /** Returns the longest value that can be used for a variable. A longer one is not leased. */
  readonly maxBytes?: (variable: string) => number | undefined
}

export const leaseAll = (request: LeaseRequest): Effect.Effect<ReadonlyArray<LeasedSecret>, CommandError> =>
  Effect.gen(function* () {
    const { daemon, secrets, waitUntil } = request
    const leased = new Map<RequestedSecret, LeasedSecret>()
    const rest = yield* sharedTimeout(daemon)
    const giveUp = Effect.flatMap(rest, (left) => revokeLeases(left, [...leased.values()]))
    while (true) {
      const { granted, refused } = yield* leaseEach(request, (one) => !leased.has(one))
      for (const [requested, one] of granted) leased.set(requested, one)
      if (refused.length === 0) return secrets.flatMap((one) => leased.get(one) ?? [])
      const ids = refused.flatMap(({ failure }) => failure.request?.request_id ?? [])
      const isAnswered =
        refused.every(isPending) &&
        (yield* awaitAnswer(daemon, ids, waitUntil).pipe(
          Effect.interruptible,
          Effect.onError(() => giveUp)
        ))
      if (isAnswered) continue
      yield* giveUp
      return yield* joinRefusals(refused)
    }
  }).pipe(Effect.uninterruptible)

/** Leases all secrets once more, and waits for nobody. Returns what is granted, which is kept, and why the rest is not. */
export const leaseAgain = (request: LeaseRequest) =>
  Effect.map(leaseEach(request), ({ granted, refused }) => ({
    granted: [...granted.values()],
    failure: refused.length === 0 ? undefined : joinRefusals(refused)
  })).pipe(Effect.uninterruptible)

/** Leases secrets until one is refused; only a refusal that no person can change stops the rest. */
const leaseEach = Effect.fnUntraced(function* (
  { clientId, daemon, maxBytes, origin, secrets }: LeaseRequest,
  isMissing: (one: RequestedSecret) => boolean = () => true
) {
  const granted = new Map<RequestedSecret, LeasedSecret>()
  const refused: Array<RefusedVariable> = []
  const leaseUnlessFailed = Effect.fnUntraced(function* (alike: ReadonlyArray<RequestedSecret>) {
    const [{ variable } = { variable: "" }] = alike
    if (!refused.every(isPending)) return
    const said = { ...origin, max_bytes: maxBytes?.(variable) }
    const outcome = yield* Effect.result(leaseOne(daemon, clientId, alike, said))
    if (Result.isFailure(outcome)) {
      for (const one of alike) refused.push({ failure: outcome.failure, variable: one.variable })
    } else for (const [at, one] of outcome.success.entries()) granted.set(alike[at] ?? one, one)
  })
  const missing = secrets.filter(isMissing)
  const alike = [...Map.groupBy(missing, ({ secret, ttl }) => JSON.stringify([secret, ttl])).values()]
  yield* Effect.forEach(alike, leaseUnlessFailed, { concurrency, discard: true })
  return { granted, refused }
})

interface RefusedVariable {
  readonly failure: CommandError
  readonly variable: string
}

const isPending = ({ failure: { request } }: RefusedVariable): boolean => request !== undefined

/**
 * Joins refusals to one error: each reason once, and the variables that the daemon refused. The hint is that of the first; a
 * refusal that a person cannot change comes before the others.
 */
const joinRefusals = (all: ReadonlyArray<RefusedVariable>): Effect.Effect<never, CommandError> => {
  const refused = all.toSorted((a, b) => Number(isPending(a)) - Number(isPending(b)))
  const [first] = refused.map(({ failure }) => failure)
  if (first === undefined) return Effect.never
  const { absent, code, exitStatus, fix, request, why } = first
  // A reference in a template has no variable.
  const variables = refused.flatMap(({ failure, variable }) =>
    isErrorTag(failure.code) && variablePattern.test(variable) ? [variable] : []
  )
  const named = `for the ${variables.length === 1 ? "variable" : "variables"} ${variables.join(", ")}`
  return Effect.fail(
    new CommandError({
      code,
      exitStatus,
      fix,
      ...(request && { request }),
      ...(absent && { absent }),
      message: [...new Set(refused.map(({ failure }) => failure.message))].join("; "),
      why: [why ?? [], variables.length === 0 ? [] : named].flat().join("; ")
    })
  )
}

export const variablesOf = (leased: ReadonlyArray<LeasedSecret>): ReadonlyArray<EnvVariable> =>
  leased.map(({ value, variable }) => ({ name: variable, value: Redacted.value(value) }))

/** Rejects values that no environment can hold. */
export const checkVariables = (variables: ReadonlyArray<EnvVariable>): Effect.Effect<void, CommandError> => {
  const unfit = variables.filter(({ value }) => value.includes("\0")).map(({ name }) => name)
  return unfit.length === 0
    ? Effect.void
    : Effect.fail(
        new CommandError({
          message: `a value contains a NUL byte and cannot be in the environment: ${unfit.join(", ")}`,
          code: "data_error",
          fix: "Store it encoded, for instance in base64",
          exitStatus: exitStatus.failed
        })
      )
}

/** Returns undefined if there are no leases. */
export const firstExpiry = (leased: ReadonlyArray<Pick<LeasedSecret, "expiresAt">>): Timestamp | undefined =>
  leased
    .flatMap(({ expiresAt }) => Option.toArray(parseTimestamp(expiresAt)))
    .toSorted((a, b) => a.millis - b.millis)[0]

/** Leases the secret of variables that are alike: a client has one lease of it, also for several members of its value. */
const leaseOne = (
  daemon: DaemonAddress,
  clientId: string,
  alike: ReadonlyArray<RequestedSecret>,
  said: LeaseOriginParams & { readonly max_bytes: number | undefined }
): Effect.Effect<ReadonlyArray<LeasedSecret>, CommandError> => {
  const [{ secret, ttl } = { secret: "", ttl: "" }] = alike
  return callForSecret(
    daemon,
    "secrets.lease",
    secret,
    { secret_name: secret, client_id: clientId, ttl, ...said },
    grantedExample
  ).pipe(
    Effect.flatMap(({ expires_at: expiresAt, lease_id: leaseId, value }) => {
      const leased = alike.map((one) => {
        const found = referredValue(one, value)
        return { ...one, leaseId, expiresAt, value: Redacted.make(found ?? ""), isMissing: found === undefined }
      })
      const wrong = leased.filter(({ isMissing }) => isMissing)
      return wrong.length === 0
        ? Effect.succeed(leased)
        : Effect.andThen(revokeLeases(daemon, wrong.slice(0, 1)), Effect.fail(noMember(wrong[0], value)))
    })
  )
}

const noMember = (reference: RequestedSecret | undefined, value: string): CommandError =>
  new CommandError({
    message: `${escapeValue(reference === undefined ? "" : referenceText(reference))}: ${withoutMember(value)}`,
    why: reference?.place === undefined ? undefined : `in ${escapeValue(reference.place)}`,
    fix: "Correct the reference, or the value with: secrets update NAME",
    code: "data_error",
    exitStatus: exitStatus.failed
  })

/** Revokes leases, and returns the number of failures. A lease that has already ended is no failure. */
export const revokeLeases = (daemon: DaemonAddress, leases: ReadonlyArray<LeasedSecret>): Effect.Effect<number> =>
  Effect.forEach(
    leases,
    ({ leaseId }) =>
      call(
        { ...daemon, timeout: Duration.min(daemon.timeout, revokeTimeout) },
        "secrets.revoke",
        // Given back by its holder: it ends no other program.
        { lease_id: leaseId, returned: true },
        revokedExample
      ).pipe(
        Effect.as(0),
        Effect.catchTag("RequestRejected", ({ tag }) => Effect.succeed(tag === "LeaseNotFound" ? 0 : 1)),
        Effect.orElseSucceed(() => 1)
      ),
    { concurrency: revokeConcurrency }
  ).pipe(
    Effect.map((counts) => counts.reduce<number>((sum, one) => sum + one, 0)),
    Effect.uninterruptible
  )
