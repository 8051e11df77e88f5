/**
 * Crashes, full disks and corrupted files: a few rounds of the stress scenarios that
 * `npm run torture` runs for longer.
 */
import { assert, describe, it } from "@effect/vitest"
import { randomFrom } from "../support/random.ts"
import { auditRounds } from "../torture/audit.ts"
import { changesIn, crashRounds } from "../torture/crash.ts"
import { replacedStore } from "../torture/boundary/store.ts"
import { poisonRounds } from "../torture/poison.ts"
import { diskRounds } from "../torture/disk.ts"

const few = (rounds: number) => {
  const logged: Array<string> = []
  return { rounds, random: randomFrom(4), log: (line: string) => void logged.push(line), logged }
}

describe.concurrent("an acknowledged change", () => {
  it("survives kill -9, whatever the crash left of the files", async () => {
    const options = few(9)
    const rows = await crashRounds(options)
    assert.deepStrictEqual(
      rows.filter(({ failed }) => failed > 0),
      [],
      options.logged.join("\n")
    )
    assert.strictEqual(rows.length, 10)
    assert.isAtLeast(rows.at(-1)?.tried ?? 0, changesIn(options.rounds))
  })

  it("has its audit entry on a full disk; one that cannot be recorded is refused", async () => {
    const options = few(3)
    const rows = await diskRounds(options)
    assert.deepStrictEqual(
      rows.filter(({ failed, tried }) => failed > 0 || tried === 0),
      [],
      options.logged.join("\n")
    )
  })

  it("is in the log once while the log is moved away and rotated, and changes to the log are detected", async () => {
    const options = few(2)
    const rows = await auditRounds(options, 3e6)
    assert.deepStrictEqual(
      rows.filter(({ failed }) => failed > 0),
      [],
      options.logged.join("\n")
    )
  })

  it("is available whatever the other files contain, and a store that cannot be read is not changed", async () => {
    const options = few(5)
    const rows = [...(await poisonRounds(options)), ...(await replacedStore({ ...options, rounds: 2 }))]
    assert.deepStrictEqual(
      rows.filter(({ failed }) => failed > 0),
      [],
      options.logged.join("\n")
    )
  })
})
