/**
 * deleteSecret: removes a secret and ends its leases.
 *
 * The secret goes first, so that no acquire can come between: one that was in time
 * is among the leases that end here, a later one finds no secret. The leases end
 * also where the secret is gone already, so a deletion that broke off half-way is
 * finished by asking again.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { revokeSecretFact } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLogError } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export const deleteSecret = Effect.fn("deleteSecret")(function* (name: string) {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const ending = leases.transaction((tx) => {
    const ended = tx.ofSecret(name)
    for (const lease of ended) tx.revoke(lease)
    tx.record(revokeSecretFact(name, ended.length))
    return Result.succeed(ended)
  })
  const endLeases = Effect.flatMap(Effect.timed(ending), ([took, ended]) =>
    ended.length === 0 ? Effect.void : sink.emit(OtelEvent.leasesRevoked(ended, Duration.toMillis(took), name))
  )
  yield* secrets
    .remove(name)
    .pipe(Effect.catchTag("SecretNotFound", (notFound) => Effect.andThen(endLeases, Effect.fail(notFound))))
  yield* Effect.mapError(endLeases, (cause) => new LeasesRemain({ name, cause }))
})

/** The secret is gone, but that its leases ended could not be recorded, so they did not. */
export class LeasesRemain extends Schema.TaggedError<LeasesRemain>()("LeasesRemain", {
  name: Schema.String,
  cause: AuditLogError
}) {
  override get message() {
    return `the secret is deleted, but its leases are not ended (${this.cause.cause.message}); delete it once more to end them`
  }
}
