/**
 * Masks the values of the store in a text that a client wrote, such as a reason: it goes into the audit log and
 * is shown to people. A word that is a value in base64, hex or percent-encoding is masked too.
 *
 * While the store is locked, no text can be checked, so none is kept.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { minMaskedLength } from "../../domain/Masker.ts"
import { jsonStrings } from "../../domain/variants.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export const valueMask = "***"

export const withoutValues = Effect.fnUntraced(function* (text: string) {
  if (text.length < minMaskedLength) return text
  const secrets = yield* SecretStore
  if (secrets.lockedSince() !== undefined) return valueMask
  const words = [...(text.match(/[A-Za-z0-9+/_=-]{4,}/g) ?? []), ...(text.match(/\S*%\S*/g) ?? [])].map((word) => ({
    word,
    forms: decoded(word)
  }))
  const wrong = new Set<string>()
  for (const name of yield* secrets.names) {
    const found = secrets.get(name)
    if (Result.isFailure(found)) continue
    const value = Redacted.value(found.success.value)
    for (const part of [value, ...jsonStrings(value)].map((one) => one.trim())) {
      if (Buffer.byteLength(part) < minMaskedLength) continue
      if (text.includes(part)) wrong.add(part)
      for (const { forms, word } of words) if (forms.some((form) => form.includes(part))) wrong.add(word)
    }
  }
  // The longest first: another one may be a part of it.
  return [...wrong]
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, part) => rest.replaceAll(part, valueMask), text)
})

/** Returns what a word may be an encoding of. */
const decoded = (word: string): ReadonlyArray<string> => [
  Buffer.from(word, "base64").toString("utf8"),
  Buffer.from(word, "hex").toString("utf8"),
  fromPercent(word)
]

const fromPercent = (word: string): string => {
  try {
    return decodeURIComponent(word)
  } catch {
    return ""
  }
}
