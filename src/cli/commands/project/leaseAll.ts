/**
 * Several leases as one: all of them, or none.
 *
 * When one is refused, those that were granted are revoked. It cannot be broken off
 * half-way, or a lease could be granted that nobody knows of; each request has its
 * time. A lease whose answer did not come in that time ends by its TTL.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import type { RequestedSecret } from "./requestedSecrets.ts"

/** The daemon takes more connections; there are others who want some. */
const concurrency = 8
/** More than are leased at once, for each may have to wait for a daemon that is away. */
const revokedAtOnce = 32
/** A daemon that is away does not keep a program from ending for longer. */
const revokeLimit = Duration.seconds(2)

const grantedExample = { lease_id: "", value: "", expires_at: "" }
const revokedExample = { success: literal(true) }

export interface LeasedSecret extends RequestedSecret {
  readonly value: Redacted.Redacted
  readonly leaseId: string
  readonly expiresAt: string
}

export const leaseAll = (
  daemon: DaemonAddress,
  clientId: string,
  secrets: ReadonlyArray<RequestedSecret>
): Effect.Effect<ReadonlyArray<LeasedSecret>, CommandError> =>
  Effect.gen(function* () {
    let failed = false
    const outcomes = yield* Effect.forEach(
      secrets,
      (wanted) =>
        Effect.suspend(() =>
          failed ? Effect.succeed(undefined) : Effect.result(leaseOne(daemon, clientId, wanted))
        ).pipe(
          Effect.tap((outcome) =>
            Effect.sync(() => void (failed ||= outcome !== undefined && Result.isFailure(outcome)))
          )
        ),
      { concurrency }
    )
    const all = outcomes.filter((outcome) => outcome !== undefined)
    const leased = all.filter(Result.isSuccess).map(({ success }) => success)
    const [failure, ...others] = all.filter(Result.isFailure).map((outcome) => outcome.failure)
    if (failure === undefined) return leased
    yield* revokeLeases(daemon, leased)
    const more = others.map(({ message }) => message).filter((message) => message !== failure.message)
    return yield* more.length === 0
      ? failure
      : new CommandError({ ...problemOf(failure), message: [failure.message, ...new Set(more)].join("; ") })
  }).pipe(Effect.uninterruptible)

const leaseOne = (
  daemon: DaemonAddress,
  clientId: string,
  wanted: RequestedSecret
): Effect.Effect<LeasedSecret, CommandError> =>
  call(
    daemon,
    "secrets.lease",
    { secret_name: wanted.secret, client_id: clientId, ttl: wanted.ttl },
    grantedExample
  ).pipe(
    Effect.map((granted) => ({
      ...wanted,
      value: Redacted.make(granted.value),
      leaseId: granted.lease_id,
      expiresAt: granted.expires_at
    })),
    Effect.mapError((error) => {
      const failure = fromClient(error)
      return error._tag === "Refused"
        ? new CommandError({
            ...problemOf(failure),
            why: [failure.why, `${wanted.variable} was to hold it`].filter(Boolean).join("; ")
          })
        : failure
    })
  )

const problemOf = ({ code, exitStatus, fix, message, why }: CommandError) => ({ code, exitStatus, fix, message, why })

/** Ends leases; gives how many could not be ended. One that has ended already is none of them. */
export const revokeLeases = (daemon: DaemonAddress, leases: ReadonlyArray<LeasedSecret>): Effect.Effect<number> =>
  Effect.forEach(
    leases,
    ({ leaseId }) =>
      call(
        { ...daemon, timeout: Duration.min(daemon.timeout, revokeLimit) },
        "secrets.revoke",
        { lease_id: leaseId },
        revokedExample
      ).pipe(
        Effect.as(0),
        Effect.catchTag("Refused", ({ tag }) => Effect.succeed(tag === "LeaseNotFound" ? 0 : 1)),
        Effect.orElseSucceed(() => 1)
      ),
    { concurrency: revokedAtOnce }
  ).pipe(
    Effect.map((counts) => counts.reduce<number>((sum, one) => sum + one, 0)),
    Effect.uninterruptible
  )
