/**
 * A memoized function computes each result once while the cache has room. Failures are
 * not cached.
 */
import { assert, describe, it } from "@effect/vitest"
import { memoize } from "../../src/domain/memoize.ts"

describe("memoize", () => {
  it("computes a result once, and again after the cache is full", () => {
    const worked: Array<number> = []
    const half = memoize(2, (asked: number) => {
      worked.push(asked)
      return asked / 2
    })
    assert.deepStrictEqual([4, 6, 4, 6].map(half), [2, 3, 2, 3])
    assert.deepStrictEqual(worked, [4, 6])
    assert.deepStrictEqual([8, 8, 4].map(half), [4, 4, 2])
    assert.deepStrictEqual(worked, [4, 6, 8, 4])
  })

  it("does not cache a failure", () => {
    let times = 0
    const broken = memoize(2, () => {
      times += 1
      throw new Error("no")
    })
    assert.throws(() => broken(1))
    assert.throws(() => broken(1))
    assert.strictEqual(times, 2)
  })
})
