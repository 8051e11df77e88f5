/**
 * recognize: lets a client find the store's own values in texts without getting them.
 *
 * A client is given the marks of the values (`valueMarks`), looks for them itself,
 * and sends the few pieces of text that have one; it is told the names of the secrets
 * they are. So whole files do not come here, and no value goes out. Who asks for
 * marks is in the log, and so is each name that was recognized: without these
 * entries there is no answer, for whoever guesses would be answered as well.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomInt } from "node:crypto"
import { scanFact, identifyFact } from "../../domain/AuditEntry.ts"
import { searchVariants } from "../../domain/searchVariants.ts"
import type { Fingerprint } from "../../domain/fingerprints.ts"
import { fingerprintsOf, multiplierFrom } from "../../domain/fingerprints.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface FingerprintSet {
  readonly multiplier: number
  readonly fingerprints: ReadonlyArray<Fingerprint>
  /** How many values they are of. */
  readonly values: number
  /** The names of the secrets whose values are too short to be searched for. */
  readonly tooShort: ReadonlyArray<string>
  /** How many values have no marks here because there are too many. */
  readonly omitted: number
}

/** Of the values of ten thousand secrets: 3 MB of a reply. */
const maxMarks = 100_000

export const listFingerprints = Effect.fn("recognize.marks")(function* (clientId: string) {
  const multiplier = multiplierFrom(yield* Effect.sync(() => randomInt(2 ** 32)))
  const all: Array<Fingerprint> = []
  const tooShort: Array<string> = []
  let [values, omitted] = [0, 0]
  for (const name of yield* names) {
    const own = yield* valueOf(name, (value) => fingerprintsOf(value, multiplier))
    if (own === undefined) continue
    if (own.length === 0) tooShort.push(name)
    else if (all.length + own.length > maxMarks) omitted += 1
    else {
      values += 1
      all.push(...own)
    }
    yield* Effect.yieldNow
  }
  const audit = yield* AuditLog
  yield* audit.append([scanFact(clientId, values, tooShort.length)])
  // In the order of the store they would tell which of them are forms of one value.
  const sorted = all.toSorted((a, b) => a.length - b.length || a.middle - b.middle)
  const given: FingerprintSet = { multiplier, fingerprints: sorted, values, tooShort, omitted }
  return given
})

/** For each text the names of the secrets it is a form of, in the order of the texts. */
export const identifyValues = Effect.fn("recognize")(function* (clientId: string, texts: ReadonlyArray<Buffer>) {
  const wanted = Map.groupBy(texts.keys(), (index) => keyOf(texts[index] ?? Buffer.alloc(0)))
  const found = texts.map((): Array<string> => [])
  for (const name of yield* names) {
    const keys = (yield* valueOf(name, (value) => searchVariants(value).map(keyOf))) ?? []
    for (const index of keys.flatMap((key) => wanted.get(key) ?? [])) found[index]?.push(name)
    yield* Effect.yieldNow
  }
  const recognized = [...new Set(found.flat())]
  const audit = yield* AuditLog
  if (recognized.length > 0) yield* audit.append(recognized.map((name) => identifyFact(name, clientId)))
  return found
})

const names = Effect.flatMap(SecretStore, ({ list }) => Effect.map(list, (all) => all.map(({ name }) => name)))

/** Undefined if it was deleted meanwhile. */
const valueOf = <A>(name: string, use: (value: string) => A) =>
  SecretStore.use((secrets) =>
    Effect.sync(() => {
      const found = secrets.get(name)
      return Result.isSuccess(found) ? use(Redacted.value(found.success.value)) : undefined
    })
  )

/** A text for each sequence of bytes. */
const keyOf = (bytes: Buffer): string => bytes.toString("latin1")
