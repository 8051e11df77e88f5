/**
 * Jumps pass over what begins no string, and over no place where one begins, whole or cut off by the end.
 */
import { assert, describe, it } from "@effect/vitest"
import { possibleStart, windowShifts } from "../../src/domain/windowShifts.ts"
import { randomFrom } from "../support/random.ts"

const shiftsOf = (...texts: ReadonlyArray<string>) => windowShifts(texts.map((text) => Buffer.from(text)))

describe("jumps", () => {
  it("look at few bytes of a text that has no pair of the strings", () => {
    const jumps = shiftsOf("hunter22-and-more", "correct horse battery") ?? assert.fail("no jumps")
    let looked = 0
    const text = new Proxy(Buffer.alloc(10_000, "x"), {
      get: (target, name) => {
        if (typeof name === "string" && /^\d+$/.test(name)) looked += 1
        return Reflect.get(target, name)
      }
    })
    // Only where a string may still begin, and end later.
    assert.isAtLeast(possibleStart(jumps, text, 0), 10_000 - jumps.window)
    assert.isAtMost(looked, (2 * 10_000) / (jumps.window - 1) + 2)
  })

  it("are not made for strings of three bytes", () => assert.isUndefined(shiftsOf("hunter22", "abc")))

  it.each([1, 2, 3])("never pass over a string, whole or cut off (seed %d)", (seed) => {
    const random = randomFrom(seed)
    const word = (letters: string, length: number) => Array.from({ length }, () => random.pick([...letters])).join("")
    for (let round = 0; round < 60; round += 1) {
      const strings = Array.from({ length: 1 + random.below(4) }, () => word("abc", 4 + random.below(40)))
      const text = Array.from({ length: 6 }, () =>
        random.below(2) === 0 ? word("abcd", random.below(50)) : random.pick(strings)
      ).join("")
      const cut = text.slice(0, text.length - random.below(5))
      const begins = (at: number) =>
        strings.some((one) => cut.startsWith(one, at) || (at < cut.length && one.startsWith(cut.slice(at))))
      const jumps = shiftsOf(...strings) ?? assert.fail("no jumps")
      for (let from = 0; from < cut.length; from += 1 + random.below(20)) {
        const found = possibleStart(jumps, Buffer.from(cut), from)
        assert.isAtLeast(found, from)
        for (let at = from; at < found; at += 1) if (begins(at)) assert.fail(`${strings.join(" ")} at ${at} of ${cut}`)
      }
    }
  })
})
