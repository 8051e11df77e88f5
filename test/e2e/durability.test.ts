/**
 * The promises about crashes and full disks, a few rounds of each attack; `npm run
 * torture` has the many.
 */
import { assert, describe, it } from "@effect/vitest"
import { randomFrom } from "../support/random.ts"
import { auditRounds } from "../torture/audit.ts"
import { crashRounds } from "../torture/crash.ts"
import { poisonRounds } from "../torture/poison.ts"
import { diskRounds } from "../torture/disk.ts"

const few = (rounds: number) => {
  const logged: Array<string> = []
  return { rounds, random: randomFrom(4), log: (line: string) => void logged.push(line), logged }
}

describe("what was acknowledged", () => {
  it("is there after kill -9, whatever the crash left of the files", async () => {
    const options = few(9)
    const rows = await crashRounds(options)
    assert.deepStrictEqual(
      rows.filter(({ failed }) => failed > 0),
      [],
      options.logged.join("\n")
    )
    assert.strictEqual(rows.length, 10)
    assert.isAbove(rows.at(-1)?.tried ?? 0, 20)
  })

  it("has its audit entry on a full disk, and what could not be recorded was refused", async () => {
    const options = few(6)
    const rows = await diskRounds(options)
    assert.deepStrictEqual(
      rows.filter(({ failed, tried }) => failed > 0 || tried === 0),
      [],
      options.logged.join("\n")
    )
  })

  it("is in the log once, while that is moved away and rotated, and what is done to the log is told", async () => {
    const options = few(6)
    const rows = await auditRounds(options, 3e6)
    assert.deepStrictEqual(
      rows.filter(({ failed, what }) => failed > 0 && !what.startsWith("leases while")),
      [],
      options.logged.join("\n")
    )
  })

  it("is served whatever stands in the files beside it, and a store that cannot be read is left alone", async () => {
    const options = few(12)
    const rows = await poisonRounds(options)
    assert.deepStrictEqual(
      rows.filter(({ failed }) => failed > 0),
      [],
      options.logged.join("\n")
    )
  })
})
