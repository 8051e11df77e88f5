/**
 * The killswitch: revokes every lease and, if configured, rotates every secret and wipes
 * the store. Leases that are acquired meanwhile are revoked at the end.
 *
 * Every step runs even if another one failed, is durable when this returns, and is
 * reported with its result. Failures are audited too, if possible.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { killswitchFailedFact } from "../../domain/leaseFacts.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { endAllLeases } from "./revoke.ts"
import { rotateSecret } from "./rotate.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface KillswitchOptions {
  readonly revokeAll: boolean
  readonly rotateAll: boolean
  readonly wipeStore: boolean
}

export const killswitch = Effect.fn("killswitch")(function* (options: KillswitchOptions) {
  const sink = yield* OtelSink
  const [duration, report] = yield* Effect.timed(runSteps(options))
  const { failures, leasesRevoked, rotated, secretsWiped } = report
  const counts = { leasesRevoked, secretsRotated: rotated.length, secretsWiped, failures: failures.length }
  const error = failures.length === 0 ? undefined : "some steps of the killswitch failed"
  yield* sink.emit(OtelEvent.killswitchActivated({ ...counts, durationMs: Duration.toMillis(duration) }, error))
  return report
})

const runSteps = Effect.fnUntraced(function* (options: KillswitchOptions) {
  const audit = yield* AuditLog
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  /** One line for each step or secret that failed. */
  const failures: Array<string> = []
  const attempt = <A, E extends Error, R>(name: string, step: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.result(step), (result) => {
      if (Result.isSuccess(result)) return result.success
      failures.push(`${name}: ${result.failure.message}`)
      return undefined
    })

  const revokeNow = attempt("revoking the leases", endAllLeases)
  // Wiping makes all leases useless, so it revokes them too.
  const first = options.revokeAll || options.wipeStore ? yield* revokeNow : undefined
  let leasesRevoked = first?.leasesRevoked
  const runIds = new Set(first?.runIds)
  const rotated: Array<string> = []
  if (options.rotateAll) {
    for (const { name, rotateVia } of (yield* attempt("rotating the secrets", secrets.list)) ?? []) {
      if (rotateVia === "") continue
      if ((yield* attempt(`rotating ${JSON.stringify(name)}`, rotateSecret(name))) !== undefined) rotated.push(name)
    }
  }
  const secretsWiped = options.wipeStore ? yield* attempt("wiping the store", secrets.wipe) : undefined
  // Clients may acquire leases during a slow rotation.
  if (leasesRevoked !== undefined && (yield* leases.activeCount) > 0) {
    const late = yield* revokeNow
    leasesRevoked = late === undefined ? undefined : leasesRevoked + late.leasesRevoked
    for (const id of late?.runIds ?? []) runIds.add(id)
  }

  if (failures.length > 0) yield* Effect.ignore(audit.append([killswitchFailedFact(failures.join("; "))]))
  // A count is undefined if its step was not requested or failed.
  return { leasesRevoked, rotated, secretsWiped, failures, runIds: [...runIds] }
})
