/**
 * deleteSecret: removes a secret and revokes its leases; returns the runs whose starters get a notice.
 *
 * The secret is removed first: a lease acquired before that is revoked here, and a
 * later acquire finds no secret. The leases are revoked even if the secret is already
 * gone, so that repeating the request completes an interrupted one.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { revokeSecretFact } from "../../domain/leaseFacts.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Runs } from "../runs/Runs.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export const deleteSecret = Effect.fn("deleteSecret")(function* (name: string) {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const { table } = yield* Runs
  const runIds = table.ofSecret(name).map(({ id }) => id)
  const revoking = leases.transaction({ _tag: "Secret", secretName: name }, (tx) => {
    const ended = tx.ofSecret(name)
    for (const lease of ended) tx.revoke(lease)
    tx.record(revokeSecretFact(name, ended.length))
    return Result.succeed(ended)
  })
  const revokeLeases = Effect.flatMap(Effect.timed(revoking), ([duration, ended]) =>
    ended.length === 0 ? Effect.void : sink.emit(OtelEvent.leasesRevoked(ended, Duration.toMillis(duration), name))
  )
  yield* secrets
    .remove(name)
    .pipe(Effect.catchTag("SecretNotFound", (notFound) => Effect.andThen(revokeLeases, Effect.fail(notFound))))
  yield* Effect.mapError(revokeLeases, (cause) => new LeasesRemain({ name, cause }))
  return runIds
})

/** The secret was deleted; revoking its leases could not be recorded, so they are still active. */
export class LeasesRemain extends Data.TaggedError("LeasesRemain")<{
  readonly name: string
  readonly cause: AuditLogError
}> {
  override get message() {
    return `the secret is deleted, but its leases are still active (${this.cause.cause.message}); repeat the request to revoke them`
  }
}
