/**
 * Entries of audit.log have the predecessor's members, order and texts (protocol
 * specification, 9.4), followed by `expires_at`. Every entry is one line and decodes to
 * what was encoded.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Audit from "../../src/domain/AuditEntry.ts"
import { crashRecoveredFact, fileRepairedFact, startFact, stopFact } from "../../src/domain/daemonFacts.ts"
import {
  acquireFact,
  acquireRefusedFact,
  expireFact,
  replaceFact,
  revokeAllFacts,
  revokeFact,
  revokeRefusedFact,
  revokeSecretFact,
  ttlTooLongDetails
} from "../../src/domain/leaseFacts.ts"
import { addFact, changeFailedFact, deleteFact } from "../../src/domain/storeFacts.ts"
import { hour, minute } from "../../src/domain/GoDuration.ts"
import type { Lease } from "../../src/domain/Lease.ts"
import { parseTimestamp } from "../../src/domain/Timestamp.ts"
import { TtlTooLong } from "../../src/domain/Lease.ts"

const time = (text: string) => Option.getOrThrow(parseTimestamp(text))
const at = time("2026-11-22T00:30:37.783025378-08:00")
const lease: Lease = {
  id: "lease-1",
  secretName: "db",
  clientId: "worker",
  createdAt: time("2026-11-22T00:30:37.782-08:00"),
  expiresAt: time("2026-11-22T01:30:37.782-08:00")
}
const tooLong = new TtlTooLong({ requested: "25h0m0s", maximum: "24h0m0s" })
const [killed, all] = revokeAllFacts(2)

/** The members after the timestamp. */
const lines: ReadonlyArray<readonly [event: string, fact: Audit.AuditFact, members: string]> = [
  [
    "an acquired lease",
    acquireFact(lease, hour),
    `"action":"lease_acquire","secret_name":"db","client_id":"worker","lease_id":"lease-1","details":"TTL: 1h0m0s",` +
      `"success":true,"expires_at":"2026-11-22T01:30:37.782-08:00"`
  ],
  [
    "a replaced lease",
    replaceFact(lease, { ...lease, id: "lease-2" }, 30n * minute),
    `"action":"lease_replace","secret_name":"db","client_id":"worker","lease_id":"lease-1",` +
      `"details":"replaced by lease-2, TTL: 30m0s","success":true`
  ],
  [
    "a refused lease",
    acquireRefusedFact("db", "worker", ttlTooLongDetails(tooLong)),
    `"action":"lease_acquire","secret_name":"db","client_id":"worker","details":"TTL 25h0m0s exceeds max 24h0m0s",` +
      `"success":false`
  ],
  [
    "a revoked lease",
    revokeFact(lease),
    `"action":"lease_revoke","secret_name":"db","client_id":"worker","lease_id":"lease-1","success":true`
  ],
  [
    "a refused revoke",
    revokeRefusedFact("nope"),
    `"action":"lease_revoke","lease_id":"nope","details":"lease not found","success":false`
  ],
  [
    "an expired lease",
    expireFact(lease),
    `"action":"lease_expire","secret_name":"db","client_id":"worker","lease_id":"lease-1","success":true`
  ],
  [
    "the revoked leases of a secret",
    revokeSecretFact("db", 0),
    `"action":"lease_revoke","secret_name":"db","details":"revoked 0 leases","success":true`
  ],
  ["the count of the killswitch", killed, `"action":"killswitch","details":"revoked 2 leases","success":true`],
  ["the killswitch", all, `"action":"killswitch","details":"all leases revoked","success":true`],
  ["a secret that was added", addFact("db"), `"action":"secret_add","secret_name":"db","success":true`],
  ["a secret that was deleted", deleteFact("db"), `"action":"secret_delete","secret_name":"db","success":true`],
  [
    "a change that failed",
    changeFailedFact(addFact("db")),
    `"action":"secret_add","secret_name":"db","details":"the store could not be written; nothing was changed",` +
      `"success":false`
  ],
  [
    "a start",
    startFact("/run/a&b.sock"),
    String.raw`"action":"daemon_start","details":"listening on /run/a\u0026b.sock","success":true`
  ],
  ["a stop", stopFact, `"action":"daemon_stop","details":"daemon stopped gracefully","success":true`],
  [
    "a crash",
    crashRecoveredFact("it left a socket"),
    `"action":"daemon_crash_recovered","details":"it left a socket","success":true`
  ],
  ["a repaired file", fileRepairedFact("a torn line"), `"action":"file_mended","details":"a torn line","success":true`]
]

describe("encodeEntry", () => {
  it.each(lines)("encodes %s", (_, fact, members) => {
    assert.strictEqual(Audit.encodeEntry(fact, at), `{"timestamp":"2026-11-22T00:30:37.783025378-08:00",${members}}\n`)
  })

  it("omits empty members", () => {
    const fact = { action: "heartbeat_fail", secret_name: "", client_id: "", lease_id: "", details: "", success: false }
    assert.strictEqual(
      Audit.encodeEntry(fact, at),
      `{"timestamp":"${at.text}","action":"heartbeat_fail","success":false}\n`
    )
  })
})

describe("decodeEntry", () => {
  it("decodes an entry of the predecessor, which has no expiry", () => {
    const line =
      `{"timestamp":"2026-11-22T00:30:37.78302-08:00","action":"lease_acquire","secret_name":"db",` +
      `"client_id":"worker","lease_id":"lease-1","details":"TTL: 1h0m0s","success":true}`
    assert.deepStrictEqual(
      Audit.decodeEntry(line),
      Option.some({
        timestamp: "2026-11-22T00:30:37.78302-08:00",
        action: "lease_acquire",
        secret_name: "db",
        client_id: "worker",
        lease_id: "lease-1",
        details: "TTL: 1h0m0s",
        success: true
      })
    )
  })

  it("ignores unknown members", () => {
    const entry = { timestamp: at.text, action: "daemon_restart", success: true }
    assert.deepStrictEqual(Audit.decodeEntry(JSON.stringify({ ...entry, hash: "f00" })), Option.some(entry))
  })

  it.each([
    "",
    "text",
    "null",
    "[]",
    "{}",
    `{"timestamp":"t","action":"a"}`,
    `{"timestamp":"t","success":true}`,
    `{"action":"a","success":true}`,
    `{"timestamp":"t","action":"a","success":"yes"}`,
    `{"timestamp":"t","action":"a","success":true,"lease_id":5}`,
    `{"timestamp":"t","action":"a","succ`
  ])("reads no entry from %j", (line) => {
    assert.deepStrictEqual(Audit.decodeEntry(line), Option.none())
  })

  const Said = Schema.String.check(Schema.isMinLength(1))
  const Fact = Schema.Struct({
    action: Said,
    secret_name: Schema.optionalKey(Said),
    client_id: Schema.optionalKey(Said),
    lease_id: Schema.optionalKey(Said),
    details: Schema.optionalKey(Said),
    success: Schema.Boolean,
    expires_at: Schema.optionalKey(Said)
  })

  it.prop("decodes every encoded entry, each from one line", [Fact], ([fact]) => {
    const line = Audit.encodeEntry({ ...fact, details: `${fact.details ?? ""}\r\n\u2028` }, at)
    assert.strictEqual(line.indexOf("\n"), line.length - 1)
    const entry = { ...fact, details: `${fact.details ?? ""}\r\n\u2028`, timestamp: at.text }
    assert.deepStrictEqual(Audit.decodeEntry(line.trimEnd()), Option.some(entry))
  })
})
