/**
 * No duration means the default, one above the maximum is rejected, and any other is
 * granted. The boundaries are exact to the nanosecond.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { hour, minute } from "../../src/domain/GoDuration.ts"
import type { TtlPolicy } from "../../src/domain/Ttl.ts"
import { grantedTtl, defaultTtlPolicy } from "../../src/domain/Ttl.ts"

const short: TtlPolicy = { default: 5n * minute, maximum: 10n * minute }

describe("grantedTtl", () => {
  it("grants an hour by default and 24 hours at the most", () => {
    assert.deepStrictEqual(defaultTtlPolicy, { default: hour, maximum: 24n * hour })
  })

  it.each([0n, -1n, -5n * minute])("grants the default to a request for %d ns", (requested) => {
    assert.deepStrictEqual(grantedTtl(requested, short), Result.succeed(short.default))
  })

  it.each([1n, short.default, short.maximum - 1n, short.maximum])("grants a request for %d ns", (requested) => {
    assert.deepStrictEqual(grantedTtl(requested, short), Result.succeed(requested))
  })

  it("rejects one nanosecond above the maximum, and reports both durations", () => {
    const refusal = Result.getOrThrow(Result.flip(grantedTtl(24n * hour + 1n, defaultTtlPolicy)))
    assert.strictEqual(refusal._tag, "TtlTooLong")
    assert.strictEqual(refusal.requested, "24h0m0.000000001s")
    assert.strictEqual(refusal.maximum, "24h0m0s")
    assert.strictEqual(refusal.message, "invalid TTL duration")
  })

  it.prop("always grants a positive duration up to the maximum", [Schema.BigInt], ([requested]) => {
    const granted = grantedTtl(requested, short)
    if (Result.isFailure(granted)) assert.isTrue(requested > short.maximum)
    else assert.isTrue(granted.success > 0n && granted.success <= short.maximum)
  })
})
