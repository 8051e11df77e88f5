/**
 * The killswitch: ends every lease and, if asked to, rotates every secret and wipes
 * the store. Leases that were taken while it was at work are ended at its end.
 *
 * Each step is tried whatever became of the others, is on the disk before this
 * answers, and is reported as it was. What failed is in the audit log too, if that
 * can be written.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { killswitchFailedFact } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { endAllLeases } from "./revokeAll.ts"
import { rotateSecret } from "./rotate.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface KillswitchOptions {
  readonly revokeAll: boolean
  readonly rotateAll: boolean
  readonly wipeStore: boolean
}

export interface KillswitchReport {
  /** Undefined where the step was not asked for or failed. */
  readonly leasesRevoked: number | undefined
  readonly rotated: ReadonlyArray<string>
  readonly secretsWiped: number | undefined
  /** One line for each step, or secret, that failed. */
  readonly failures: ReadonlyArray<string>
}

export const killswitch = Effect.fn("killswitch")(function* (options: KillswitchOptions) {
  const sink = yield* OtelSink
  const [took, report] = yield* Effect.timed(pull(options))
  const { failures, leasesRevoked, rotated, secretsWiped } = report
  const counts = { leasesRevoked, secretsRotated: rotated.length, secretsWiped, failures: failures.length }
  const error = failures.length === 0 ? undefined : "the killswitch could not do all it was to do"
  yield* sink.emit(OtelEvent.killswitchActivated({ ...counts, durationMs: Duration.toMillis(took) }, error))
  return report
})

const pull = Effect.fnUntraced(function* (options: KillswitchOptions) {
  const audit = yield* AuditLog
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const failures: Array<string> = []
  const attempt = <A, E extends Error, R>(what: string, step: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.result(step), (result) => {
      if (Result.isSuccess(result)) return result.success
      failures.push(`${what}: ${result.failure.message}`)
      return undefined
    })

  const revokeNow = attempt("revoking the leases", endAllLeases)
  // A lease of a secret that is gone is of no use to anybody.
  let leasesRevoked = options.revokeAll || options.wipeStore ? yield* revokeNow : undefined
  const rotated: Array<string> = []
  if (options.rotateAll) {
    for (const { name, rotateVia } of yield* secrets.list) {
      if (rotateVia === "") continue
      if ((yield* attempt(`rotating ${JSON.stringify(name)}`, rotateSecret(name))) !== undefined) rotated.push(name)
    }
  }
  const secretsWiped = options.wipeStore ? yield* attempt("wiping the store", secrets.wipe) : undefined
  // Rotating takes its time, and whoever acquired meanwhile has a lease again.
  if (leasesRevoked !== undefined && (yield* leases.activeCount) > 0) {
    const late = yield* revokeNow
    leasesRevoked = late === undefined ? undefined : leasesRevoked + late
  }

  if (failures.length > 0) yield* Effect.ignore(audit.append([killswitchFailedFact(failures.join("; "))]))
  const report: KillswitchReport = { leasesRevoked, rotated, secretsWiped, failures }
  return report
})
