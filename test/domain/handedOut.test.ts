/**
 * A value is outside from its first lease until it changes, whatever becomes of the lease,
 * the secret or the store.
 */
import { assert, describe, it } from "@effect/vitest"
import { HandedOutSearch } from "../../src/domain/handedOut.ts"

/** Searches entries that are written from the oldest to the newest, as `action secret`; a `!` marks a failed one. */
const search = (...lines: ReadonlyArray<string>) => {
  const found = new HandedOutSearch()
  const entries = lines.map((line, at) => {
    const [action = "", secret_name = ""] = line.replace("!", "").split(" ")
    return { action, secret_name, success: !line.startsWith("!"), timestamp: `${at}` }
  })
  for (const entry of entries.toReversed()) found.visit(entry)
  return found.result().map(({ lastAt, leases, secretName }) => `${secretName} ${leases} ${lastAt}`)
}

describe("HandedOutSearch", () => {
  it("counts the leases of each value, the last one first", () => {
    assert.deepStrictEqual(search("lease_acquire a", "lease_acquire b", "lease_acquire a", "lease_acquire c"), [
      "c 1 3",
      "a 2 2",
      "b 1 1"
    ])
  })

  it.each(["secret_update", "secret_rotate", "secret_add"])("forgets the value before a %s", (change) => {
    assert.deepStrictEqual(search("lease_acquire a", `${change} a`), [])
    assert.deepStrictEqual(search("lease_acquire a", `${change} a`, "lease_acquire a"), ["a 1 2"])
    assert.deepStrictEqual(search("lease_acquire a", `!${change} a`), ["a 1 0"])
    assert.deepStrictEqual(search("lease_acquire a", `${change} b`), ["a 1 0"])
  })

  it.each(["lease_expire a", "lease_revoke a", "secret_delete a", "store_wipe ", "killswitch "])(
    "keeps the value after a %s",
    (end) => assert.deepStrictEqual(search("lease_acquire a", end), ["a 1 0"])
  )

  it("counts leases that were adopted, and none that were refused", () => {
    assert.deepStrictEqual(search("lease_adopt a", "!lease_acquire a", "!lease_acquire b"), ["a 1 0"])
  })
})
