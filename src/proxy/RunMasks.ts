/**
 * The masks of a run: all its values, in the common encodings, and as the basic credentials they
 * are sent in. A value that was changed stays masked, since an upstream may still echo it.
 */
import { countMaskable, type Masker, makeMaskers, type MaskerOptions } from "../domain/Masker.ts"
import type { OpenRoute } from "../domain/proxyMessages.ts"
import { encodedVariantsOfAll } from "../domain/variants.ts"
import { pairsOf, type RawHeaders } from "./slots.ts"

/** How many values of the past are masked; a rotation every minute must not fill the memory. */
const maxFormer = 16

const sameLength: MaskerOptions = { sameLength: true }

/** Returns the value as it is put into a slot: a line feed at its end is none of it. */
export const sentValue = (value: string): string => value.replace(/[\r\n]+$/, "")

export class RunMasks {
  private current: ReadonlyArray<string> = []
  private former: ReadonlyArray<string> = []
  private make: () => Masker = makeMaskers([], sameLength)

  /** Masks these values from now on. */
  setValues(routes: ReadonlyArray<Pick<OpenRoute, "inject" | "value">>): void {
    const texts = new Set(
      routes.flatMap(({ inject, value }) => [value, sentValue(value), ...basicTexts(inject, value)])
    )
    this.former = [...new Set([...this.current.filter((text) => !texts.has(text)), ...this.former])].slice(0, maxFormer)
    this.current = [...texts]
    const variants = encodedVariantsOfAll([...this.current, ...this.former])
    this.make = makeMaskers(variants.slice(0, countMaskable(variants)), sameLength)
  }

  /** Returns a masker of one stream. */
  masker(): Masker {
    return this.make()
  }

  /** Masks a whole text. */
  text(text: string): string {
    const masker = this.make()
    return Buffer.concat([masker.push(Buffer.from(text, "latin1")), masker.end()]).toString("latin1")
  }

  /** Masks names and values of headers, and returns how many masks there are. */
  headers(raw: RawHeaders): { readonly headers: RawHeaders; readonly count: number } {
    const masker = this.make()
    const all = Buffer.concat([masker.push(Buffer.from(raw.join("\n"), "latin1")), masker.end()]).toString("latin1")
    if (masker.count === 0) return { headers: raw, count: 0 }
    let at = 0
    // Masks are as long as what they cover, so each text stays in its place.
    const headers = pairsOf(raw).flatMap(([name, value]) => {
      const from = at
      at += name.length + value.length + 2
      return [all.slice(from, from + name.length), all.slice(from + name.length + 1, at - 1)]
    })
    return { headers, count: masker.count }
  }
}

const basicTexts = (inject: OpenRoute["inject"], value: string): ReadonlyArray<string> => {
  if (inject.kind !== "basic") return []
  const base64 = Buffer.from(`${inject.user}:${sentValue(value)}`).toString("base64")
  return [base64, base64.replaceAll("=", "")]
}
