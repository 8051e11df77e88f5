/**
 * Lets a client find the store's values in its files, without sending them either way.
 *
 * A client searches its files for the fingerprints of the values, sends only the matching
 * pieces of text, and gets the names of their secrets. Both steps are audited before the
 * reply, because a client that guesses values would get a reply too, and both are limited.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { refusedFact } from "../../domain/factMakers.ts"
import { guessRefusedFact, identifyFact, scanFact } from "../../domain/storeFacts.ts"
import { type Fingerprint, fingerprintsOf, multiplierFrom } from "../../domain/fingerprints.ts"
import { searchVariants } from "../../domain/variants.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { ScanBudget, type ScanLimit, today } from "./ScanBudget.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/** Bounds the size of a reply. */
const maxFingerprints = 100_000

export const listFingerprints = Effect.fn("listFingerprints")(function* (clientId: string) {
  // The same for all scans of a day: with another one, each scan would reveal further bits of each value.
  const day = yield* today
  const multiplier = yield* SecretStore.use(({ derive }) =>
    Effect.map(Effect.fromResult(derive(`fingerprints of ${day}`)), (bytes) => multiplierFrom(bytes.readUInt32LE()))
  )
  yield* limited("scans", 1, (reason) => refusedFact(scanFact(clientId, 0, 0), reason))
  const all: Array<Fingerprint> = []
  /** The names of secrets whose values are too short for a search. */
  const tooShort: Array<string> = []
  /** The numbers of values with fingerprints, and without, because there are too many. */
  let [values, omitted] = [0, 0]
  for (const name of yield* names) {
    const own = yield* valueOf(name, (value) => fingerprintsOf(value, multiplier))
    if (own === undefined) continue
    if (own.length === 0) tooShort.push(name)
    else if (all.length + own.length > maxFingerprints) omitted += 1
    else {
      values += 1
      all.push(...own)
    }
    yield* Effect.yieldNow
  }
  const audit = yield* AuditLog
  yield* audit.append([scanFact(clientId, values, tooShort.length)])
  // Store order would show which fingerprints belong to one value.
  const fingerprints = all.toSorted((a, b) => a.length - b.length || a.middle - b.middle)
  return { multiplier, fingerprints, values, tooShort, omitted }
})

/** Returns for each text the names of the secrets whose encoded value it is. */
export const identifyValues = Effect.fn("identifyValues")(function* (clientId: string, texts: ReadonlyArray<Buffer>) {
  const indexes = Map.groupBy(texts.keys(), (index) => keyOf(texts[index] ?? Buffer.alloc(0)))
  const found = texts.map((): Array<string> => [])
  for (const name of yield* names) {
    const keys = (yield* valueOf(name, (value) => searchVariants(value).map(keyOf))) ?? []
    for (const index of keys.flatMap((key) => indexes.get(key) ?? [])) found[index]?.push(name)
    yield* Effect.yieldNow
  }
  const wrong = new Set(texts.filter((_, index) => found[index]?.length === 0).map(keyOf)).size
  if (wrong > 0) yield* limited("guesses", wrong, (reason) => guessRefusedFact(clientId, reason))
  const identified = [...new Set(found.flat())]
  const audit = yield* AuditLog
  if (identified.length > 0) yield* audit.append(identified.map((name) => identifyFact(name, clientId)))
  return found
})

/** Spends some of the day's budget, or records and reports that it is used up. */
const limited = (what: ScanLimit["what"], count: number, rejected: (reason: string) => AuditFact) =>
  ScanBudget.use((budget) =>
    Effect.tapError(budget.spend(what, count), ({ message }) =>
      AuditLog.use((audit) => Effect.ignore(audit.append([rejected(message)])))
    )
  )

const names = Effect.flatMap(SecretStore, ({ list }) => Effect.map(list, (all) => all.map(({ name }) => name)))

/** Applies a function to a value; undefined if the secret was deleted meanwhile. */
const valueOf = <A>(name: string, use: (value: string) => A) =>
  SecretStore.use((secrets) =>
    Effect.suspend(() => {
      const found = secrets.get(name)
      if (Result.isSuccess(found)) return Effect.succeed(use(Redacted.value(found.success.value)))
      return found.failure._tag === "StoreLocked" ? Effect.fail(found.failure) : Effect.succeed(undefined)
    })
  )

/** Encodes bytes as a map key. */
const keyOf = (bytes: Buffer): string => bytes.toString("latin1")
