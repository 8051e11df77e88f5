/**
 * A timestamp keeps the offset and the nanoseconds of its text. New timestamps are in the
 * local zone, offset changes included. Invalid RFC 3339 and invalid dates are rejected
 * (protocol specification, section 6).
 */
import { afterEach, vi } from "vitest"
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { fromMillis, fromNanos, parseTimestamp, zeroTimestamp } from "../../src/domain/Timestamp.ts"

const at = (iso: string): number => Date.parse(iso)

const read: ReadonlyArray<readonly [text: string, written: string, moment: string]> = [
  ["2026-11-22T00:30:37.782798825-08:00", "2026-11-22T00:30:37.782798825-08:00", "2026-11-22T08:30:37.782Z"],
  ["2026-11-22T00:30:37+05:30", "2026-11-22T00:30:37+05:30", "2026-11-21T19:00:37Z"],
  ["2026-11-22T08:30:37Z", "2026-11-22T08:30:37Z", "2026-11-22T08:30:37Z"],
  ["2026-11-22T08:30:37.120Z", "2026-11-22T08:30:37.12Z", "2026-11-22T08:30:37.12Z"],
  ["2026-11-22T08:30:37.000Z", "2026-11-22T08:30:37Z", "2026-11-22T08:30:37Z"],
  ["2026-11-22T08:30:37.5Z", "2026-11-22T08:30:37.5Z", "2026-11-22T08:30:37.5Z"],
  ["2026-11-22T08:30:37.9999999999Z", "2026-11-22T08:30:37.999999999Z", "2026-11-22T08:30:37.999Z"],
  ["2026-11-22T08:30:37,25Z", "2026-11-22T08:30:37.25Z", "2026-11-22T08:30:37.25Z"],
  ["2026-11-22T8:30:37Z", "2026-11-22T08:30:37Z", "2026-11-22T08:30:37Z"],
  ["2026-11-22T08:30:37+00:00", "2026-11-22T08:30:37Z", "2026-11-22T08:30:37Z"],
  ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"]
]

const refused = [
  "",
  "2026-11-22",
  "2026-11-22 08:30:37Z",
  "2026-11-22t08:30:37Z",
  "2026-11-22T08:30:37z",
  "2026-11-22T08:30:37",
  "2026-11-22T08:30:37.Z",
  "2026-11-22T08:30:37Z\n",
  "2026-11-22T08:30:37+0100",
  "2026-13-01T00:00:00Z",
  "2026-00-01T00:00:00Z",
  "2026-01-32T00:00:00Z",
  "2026-11-22T25:00:00Z",
  "2026-11-22T00:60:00Z",
  "2026-11-22T00:00:60Z"
]

describe("parseTimestamp", () => {
  it("distinguishes timestamps within a second, and equal times in different zones", () => {
    const read = (text: string) => Option.getOrThrow(parseTimestamp(text)).millis
    const second = at("2026-11-22T08:30:37Z")
    for (const _ of ["read anew", "remembered"]) {
      assert.strictEqual(read("2026-11-22T08:30:37.001Z"), second + 1)
      assert.strictEqual(read("2026-11-22T08:30:37.999999Z"), second + 999)
      assert.strictEqual(read("2026-11-22T08:30:37.5+01:00"), second + 500 - 3_600_000)
      assert.deepStrictEqual(parseTimestamp("2026-02-30T08:30:37Z"), Option.none())
    }
  })

  it.each(read)("parses %s and keeps it as %s", (text, written, moment) => {
    assert.deepStrictEqual(parseTimestamp(text), Option.some({ millis: at(moment), text: written }))
  })

  it.each(refused)("rejects %j", (text) => {
    assert.deepStrictEqual(parseTimestamp(text), Option.none())
  })

  it.each(["2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-22T24:00:00Z"])(
    "rejects %s, which does not exist",
    (text) => {
      assert.deepStrictEqual(parseTimestamp(text), Option.none())
    }
  )

  it("parses the zero time", () => {
    assert.deepStrictEqual(parseTimestamp(zeroTimestamp.text), Option.some(zeroTimestamp))
  })
})

const Nanos = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: 9_000_000_000n * 1_000_000_000n }))

describe("fromNanos", () => {
  it.prop("formats what parses to the same timestamp", [Nanos], ([nanos]) => {
    assert.deepStrictEqual(parseTimestamp(fromNanos(nanos).text), Option.some(fromNanos(nanos)))
  })

  it.prop("keeps every nanosecond in the text", [Nanos], ([nanos]) => {
    const { millis, text } = fromNanos(nanos)
    const fraction = /:\d\d(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)$/.exec(text)?.[1] ?? ""
    assert.strictEqual(BigInt(fraction.padEnd(9, "0")), nanos % 1_000_000_000n)
    assert.strictEqual(BigInt(millis), nanos / 1_000_000n)
    assert.isFalse(fraction.endsWith("0"))
  })

  it.each([
    [-1n, -1, ".999999999"],
    [-1_000_001n, -2, ".998999999"],
    [-1_000_000_000n, -1000, ""]
  ] as const)("writes a moment before 1970: %d ns", (nanos, millis, fraction) => {
    const { text } = fromNanos(nanos)
    assert.strictEqual(text.slice("1969-12-31T23:59:59".length).replace(/Z$|[+-]\d\d:\d\d$/, ""), fraction)
    assert.deepStrictEqual(parseTimestamp(text), Option.some({ millis, text }))
  })
})

/** Loads the module in this zone: it reads the zone when it is loaded. */
const inZone = (zone: string) => {
  process.env["TZ"] = zone
  vi.resetModules()
  return import("../../src/domain/Timestamp.ts")
}

describe("the local zone", () => {
  const before = process.env["TZ"]
  afterEach(() => {
    if (before === undefined) delete process.env["TZ"]
    else process.env["TZ"] = before
    vi.resetModules()
  })

  it.each([
    ["UTC", "2026-11-22T08:30:37Z"],
    ["America/Los_Angeles", "2026-11-22T00:30:37-08:00"],
    ["Asia/Kathmandu", "2026-11-22T14:15:37+05:45"],
    ["America/St_Johns", "2026-11-22T05:00:37-03:30"]
  ])("writes in %s: %s", async (zone, text) => {
    const local = await inZone(zone)
    assert.deepStrictEqual(local.fromMillis(at("2026-11-22T08:30:37Z")), { millis: at("2026-11-22T08:30:37Z"), text })
  })

  it("changes the offset at daylight saving time, to the millisecond, and back", async () => {
    const local = await inZone("America/Los_Angeles")
    const change = at("2026-11-01T09:00:00Z")
    assert.strictEqual(local.fromMillis(change - 1).text, "2026-11-01T01:59:59.999-07:00")
    assert.strictEqual(local.fromMillis(change).text, "2026-11-01T01:00:00-08:00")
    assert.strictEqual(local.fromMillis(change - 1).text, "2026-11-01T01:59:59.999-07:00")
  })
})

describe("fromMillis", () => {
  it("equals fromNanos of the same time", () => {
    const millis = at("2026-11-22T08:30:37.78Z")
    assert.deepStrictEqual(fromMillis(millis), fromNanos(BigInt(millis) * 1_000_000n))
    assert.strictEqual(fromMillis(millis).millis, millis)
  })
})
