/**
 * What is known of who was given a value: by the log of this machine, and in a team by those of all others.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ExposedValue } from "../../domain/Exposure.ts"
import { mergeValues, withoutChangesUntil } from "../../domain/teamExposure.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { ExposureLedger, type KnownExposure } from "../audit/ExposureLedger.ts"

export interface WholeExposure extends KnownExposure {
  /** Returns the values of a secret, the current one last. */
  readonly valuesOf: (name: string) => ReadonlyArray<ExposedValue>
  readonly names: () => ReadonlyArray<string>
  /** The number of the last entry here before this machine joined its team; undefined if that is not known, or there is none. */
  readonly joined: number | undefined
  /** Why the logs of the other machines tell less than everything. */
  readonly reasons: ReadonlyArray<string>
}

export const knownExposure: Effect.Effect<WholeExposure, never, AuditLog | ExposureLedger> = Effect.gen(function* () {
  const own = yield* Effect.flatMap(ExposureLedger, (ledger) => ledger.known)
  const { exposure } = own
  const alone = {
    ...own,
    valuesOf: (name: string) => exposure.valuesOf(name),
    names: () => exposure.names(),
    joined: 0
  }
  const { others } = yield* AuditLog
  if (others === undefined) return { ...alone, reasons: [] }
  const read = yield* Effect.result(others.exposures)
  if (Result.isFailure(read)) {
    return { ...alone, reasons: [`the logs of the other machines cannot be read: ${read.failure.reason}`] }
  }
  const { isComplete, joined, machines } = read.success
  const forgotten = [...machines.values()].reduce((sum, one) => sum + one.forgotten, 0)
  return {
    ...own,
    valuesOf: (name) =>
      mergeValues([
        { machine: undefined, values: withoutChangesUntil(exposure.valuesOf(name), joined) },
        ...Array.from(machines, ([machine, one]) => ({ machine, values: one.valuesOf(name) }))
      ]),
    names: () => [...new Set([...exposure.names(), ...Array.from(machines.values(), (one) => one.names()).flat()])],
    joined,
    reasons: [
      ...(isComplete ? [] : ["the logs of the other machines are not read to their ends yet: ask again"]),
      ...(forgotten > 0 ? [`${forgotten} secrets of other machines are not listed, because there are too many`] : [])
    ]
  }
})
