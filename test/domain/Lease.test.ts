/**
 * A lease is active up to the last millisecond of its grant. It survives encoding to
 * leases.json, whose rows are the predecessor's (protocol specification, 9.3). A request
 * without a duration gets the default. One that exceeds the maximum is rejected, even by a
 * nanosecond.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { hour, millisecond, minute } from "../../src/domain/GoDuration.ts"
import type { LeaseRow, TtlPolicy } from "../../src/domain/Lease.ts"
import {
  defaultTtlPolicy,
  fromRow,
  grantedTtl,
  isExpired,
  LeaseNotFound,
  makeLease,
  LeaseRow as RowSchema,
  toRow
} from "../../src/domain/Lease.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

const now = Date.parse("2026-11-22T08:30:37.780Z")
const grant = { id: "lease-1", secretName: "db", clientId: "worker", now }

const row: LeaseRow = {
  id: "lease-1",
  secret_name: "db",
  client_id: "worker",
  created_at: "2026-11-22T00:30:37.782798825-08:00",
  expires_at: "2026-11-22T01:30:37.782798825-08:00",
  revoked: false
}

describe("makeLease", () => {
  it("begins now and ends after the granted duration", () => {
    const lease = makeLease({ ...grant, ttl: hour })
    assert.deepStrictEqual(lease, {
      id: "lease-1",
      secretName: "db",
      clientId: "worker",
      createdAt: fromMillis(now),
      expiresAt: fromMillis(now + 3_600_000)
    })
  })

  it("keeps the nanoseconds of the grant in the text of its expiry", () => {
    const { expiresAt } = makeLease({ ...grant, ttl: hour + 1n })
    assert.match(expiresAt.text, /T\d\d:\d\d:37\.780000001/)
    assert.strictEqual(expiresAt.millis, now + 3_600_000)
  })
})

describe("isExpired", () => {
  it.each([
    { ttl: hour, millis: 3_600_000 },
    { ttl: millisecond, millis: 1 },
    { ttl: 2n * millisecond - 1n, millis: 1 },
    { ttl: 1n, millis: 0 }
  ])("keeps a lease of $ttl ns active for exactly $millis ms", ({ ttl, millis }) => {
    const lease = makeLease({ ...grant, ttl })
    assert.isFalse(isExpired(lease, now))
    assert.isFalse(isExpired(lease, now + millis))
    assert.isTrue(isExpired(lease, now + millis + 1))
  })
})

describe("rows of leases.json", () => {
  it("have the predecessor's members in its order", () => {
    const lease = Option.getOrThrow(fromRow(row))
    assert.strictEqual(JSON.stringify(toRow(lease)), JSON.stringify(row))
  })

  it("keep the offset and the nanoseconds of another program", () => {
    const lease = Option.getOrThrow(fromRow(row))
    assert.deepStrictEqual(lease.createdAt, {
      millis: Date.parse("2026-11-22T08:30:37.782Z"),
      text: "2026-11-22T00:30:37.782798825-08:00"
    })
    assert.deepStrictEqual(lease.expiresAt.millis, Date.parse("2026-11-22T09:30:37.782Z"))
  })

  it.each(["created_at", "expires_at"])("decode to no lease if %s is invalid", (member) => {
    assert.deepStrictEqual(fromRow({ ...row, [member]: "tomorrow" }), Option.none())
  })

  it("may have unknown members", () => {
    const decode = Schema.decodeUnknownOption(RowSchema)
    assert.deepStrictEqual(decode({ ...row, note: "mine" }), Option.some(row))
    assert.deepStrictEqual(decode({ ...row, expires_at: 5 }), Option.none())
  })

  const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000_000 }))
  const Ttl = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 1n, maximum: 24n * hour }))

  it.prop("decode to the lease they encode", [Schema.String, Millis, Ttl], ([text, now, ttl]) => {
    const lease = makeLease({ id: `id ${text}`, secretName: text, clientId: `${text}'s`, now, ttl })
    assert.deepStrictEqual(fromRow(toRow(lease)), Option.some(lease))
  })
})

describe("LeaseNotFound", () => {
  it("has the predecessor's message, without the id", () => {
    assert.strictEqual(new LeaseNotFound({ leaseId: "lease-1" }).message, "lease not found")
  })
})

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
