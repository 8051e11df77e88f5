/**
 * Who was given which value: from its first lease until it changes, whatever becomes of the lease,
 * the secret or the store. Entries are written as `action secret client via program`, in order.
 */
import { assert, describe, it } from "@effect/vitest"
import { clientGroup } from "../../src/domain/clientGroup.ts"
import { Exposure, type ExposedValue, isOpenWay } from "../../src/domain/Exposure.ts"
import { decodeExposure, encodeExposure } from "../../src/domain/exposureFile.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

const notWritten = "the store could not be written; nothing was changed"

/** Adds an entry; a `!` marks a failed one, and what follows a `:` are its details. */
const addTo = (exposure: Exposure, line: string, seq: number, millis = seq) => {
  const [words = "", details] = line.replace("!", "").split(": ")
  const [action = "", secret_name, client_id, via, program] = words.split(" ")
  const members = { secret_name, client_id, via, program, details, lease_id: `lease-${seq}` }
  const given = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  exposure.add({ action, success: !line.startsWith("!"), ...given }, fromMillis(millis), seq)
}

const exposureOf = (lines: ReadonlyArray<string>, limit?: number) => {
  const exposure = new Exposure(limit)
  for (const [at, line] of lines.entries()) addTo(exposure, line, at + 1)
  return exposure
}

const shown = ({ handouts, set }: ExposedValue) =>
  `${set?.seq ?? "?"}: ${handouts.map(({ client, program, times, via }) => `${client}/${via}${program && `/${program}`}×${times}`).join(" ")}`

/** The values of the secret `a`, the current one last. */
const values = (...lines: ReadonlyArray<string>) => exposureOf(lines).valuesOf("a").map(shown)

describe("Exposure", () => {
  it("has a row for each client, way and program", () => {
    assert.deepStrictEqual(
      values(
        "secret_add a",
        "lease_acquire a ci exec npm",
        "lease_acquire a ci exec npm",
        "lease_acquire a ci",
        "lease_acquire a ci exec git"
      ),
      ["1: ci/exec/npm×2 ci/lease×1 ci/exec/git×1"]
    )
  })

  it.each([
    "secret_update a",
    "secret_rotate a",
    "secret_add a",
    "secret_rotate a: exit status 0, 3 bytes of output; new"
  ])("begins another value with: %s", (change) => {
    assert.deepStrictEqual(values("lease_acquire a x", change), ["?: x/lease×1", "2: "])
    assert.deepStrictEqual(values("lease_acquire a x", change, "lease_acquire a y"), ["?: x/lease×1", "2: y/lease×1"])
    assert.deepStrictEqual(values("lease_acquire a x", `!${change}`), ["?: x/lease×1"])
    assert.deepStrictEqual(values("lease_acquire a x", change.replace(" a", " b")), ["?: x/lease×1"])
  })

  it.each([
    "lease_expire a",
    "lease_revoke a",
    "secret_delete a",
    "secret_edit a",
    "store_wipe",
    "killswitch",
    "secret_update a: unchanged",
    "secret_rotate a: exit status 0, 1 byte of output",
    "secret_rotate a: exit status 0, 3 bytes of output; unchanged"
  ])("keeps the value with: %s", (entry) =>
    assert.deepStrictEqual(values("secret_add a", "lease_acquire a x", entry), ["1: x/lease×1"])
  )

  it("counts leases that were adopted and are not counted yet, and none that were refused", () => {
    assert.deepStrictEqual(values("lease_adopt a x", "!lease_acquire a y"), ["?: x/lease×1"])
    assert.deepStrictEqual(values("lease_acquire a x", "lease_adopt a x"), ["?: x/lease×1"])
  })

  it("counts adopted leases whose own entries the log lacks, when they were issued and once", () => {
    const exposure = new Exposure()
    exposure.from = { seq: 0, at: fromMillis(500) }
    for (const at of [500, 600]) addTo(exposure, "lease_acquire a x", 0, at)
    const adopt = () => {
      for (const created of [600, 500, 400, 300]) {
        const created_at = fromMillis(created).text
        exposure.add(
          { action: "lease_adopt", success: true, secret_name: "a", client_id: "x", created_at },
          fromMillis(9_000),
          1
        )
      }
      return exposure
        .valuesOf("a")
        .flatMap(({ handouts }) =>
          handouts.map(({ first, last, leaseId, times }) => [first.millis, last.millis, times, leaseId])
        )
    }
    assert.deepStrictEqual(adopt(), [[300, 600, 4, "lease-0"]])
    assert.deepStrictEqual(adopt(), [[300, 600, 4, "lease-0"]])
  })

  it("takes a change back that was recorded and not written", () => {
    const before = ["secret_add a", "lease_acquire a x", "secret_update a", "lease_acquire a y"]
    assert.deepStrictEqual(values(...before, `!secret_update a: ${notWritten}`), ["1: x/lease×1 y/lease×1"])
    assert.deepStrictEqual(values("secret_add a", `!secret_add a: ${notWritten}`), [])
    const restored = ["secret_add a", "lease_acquire a x", "secret_update b", "secret_update a", "store_restore"]
    assert.deepStrictEqual(values(...restored, `!secret_update a: ${notWritten}`), ["1: x/lease×1"])
  })

  it("names the restore that set a value", () => {
    const by = (...lines: ReadonlyArray<string>) =>
      exposureOf(lines)
        .valuesOf("a")
        .map(({ set }) => set?.by)
    assert.deepStrictEqual(by("secret_add a", "secret_add b", "secret_update a", "store_restore"), [
      "store_restore",
      "store_restore"
    ])
    assert.deepStrictEqual(by("secret_add a", "lease_acquire a x", "secret_update b", "store_restore"), ["secret_add"])
  })

  it("keeps the time of the first and the last, and their order, although the clock was set back", () => {
    const exposure = new Exposure()
    for (const [seq, millis] of [50, 90, 10].entries()) addTo(exposure, "lease_acquire a x", seq + 1, millis)
    const [row] = exposure.valuesOf("a")[0]?.handouts ?? []
    assert.deepStrictEqual([row?.first.millis, row?.last.millis, row?.seq, row?.leaseId], [10, 90, 3, "lease-3"])
  })

  it("joins what is older with what is newer as if it were one log", () => {
    const lines = [
      "secret_add a",
      "lease_acquire a x",
      "secret_update b",
      "lease_acquire a x",
      "secret_update a",
      "lease_acquire a x[7]",
      "lease_acquire b y",
      "secret_rotate a: exit status 0, 1 byte of output",
      "lease_acquire a z",
      "secret_update a"
    ]
    const all = (exposure: Exposure) =>
      exposure
        .names()
        .toSorted()
        .map((name) => [name, exposure.valuesOf(name)])
    for (let cut = 0; cut <= lines.length; cut += 1) {
      const [older, newer] = [new Exposure(), new Exposure()]
      for (const [at, line] of lines.entries()) addTo(at < cut ? older : newer, line, at + 1)
      older.absorb(newer)
      assert.deepStrictEqual(all(older), all(exposureOf(lines)), `cut at ${cut}`)
    }
  })

  it("is not changed by what is added to its copy", () => {
    const exposure = exposureOf(["lease_acquire a x"])
    const copy = exposure.copy()
    addTo(copy, "lease_acquire a x", 2)
    assert.deepStrictEqual(exposure.valuesOf("a").map(shown), ["?: x/lease×1"])
  })
})

describe("a row of a hostile client", () => {
  it("is never the row of another", () => {
    const exposure = new Exposure()
    const all = [
      ["ci", "exec", "npm"],
      ["exec 2 cinpm", undefined, undefined],
      ["ci", "exec", "npm\0exec\0x"],
      ["ci\0exec\0npm", "exec", "x"],
      ["cin", "exec", "pm"],
      [" ci", undefined, undefined],
      ["__proto__", undefined, undefined],
      ["", "exec", "ci"]
    ] as const
    for (const [client_id, via, program] of all) {
      const said = { ...(via && { via }), ...(program && { program }) }
      exposure.add({ action: "lease_acquire", success: true, secret_name: "a", client_id, ...said }, fromMillis(1), 1)
    }
    assert.strictEqual(exposure.valuesOf("a")[0]?.handouts.length, all.length)
  })
})

describe("the limit of the exposure", () => {
  const clients = (count: number, more = "") =>
    Array.from({ length: count }, (_, at) => `lease_acquire a c${at}${more}`)

  it("merges programs first", () => {
    const exposure = exposureOf(
      ["lease_acquire a x exec one", "lease_acquire a x exec two", "lease_acquire a y", "lease_acquire a x exec three"],
      4
    )
    assert.deepStrictEqual(exposure.valuesOf("a").map(shown), ["?: x/exec×3 y/lease×1"])
  })

  it("then forgets values before the previous one", () => {
    const exposure = exposureOf(
      [...clients(4), "secret_update a", "lease_acquire a x", "secret_update a", ...clients(4)],
      9
    )
    assert.deepStrictEqual(
      exposure.valuesOf("a").map(({ handouts }) => handouts.length),
      [1, 4]
    )
  })

  it("then takes the names of those that came last, and says of how many", () => {
    const exposure = exposureOf(["lease_acquire b first", "lease_acquire a first", ...clients(3_000)], 1_000)
    const [value] = exposure.valuesOf("a")
    assert.isBelow(exposure.size, 1_000)
    assert.strictEqual(value?.handouts[0]?.client, "first")
    assert.strictEqual(
      (value?.handouts.filter(({ client }) => client !== "").length ?? 0) + (value?.unnamed ?? 0),
      3_001
    )
    assert.strictEqual(exposure.valuesOf("b")[0]?.handouts[0]?.client, "first")
    assert.strictEqual(
      value?.handouts.reduce((sum, { times }) => sum + times, 0),
      3_001
    )
  })

  it("counts long names as several", () => {
    const long = "x".repeat(5_000)
    assert.isBelow(exposureOf(clients(200, long), 1_000).size, 110)
  })

  it("holds for any number of secrets, and says how many it left out", () => {
    const exposure = exposureOf(
      Array.from({ length: 3_000 }, (_, at) => `lease_acquire s${at} x`),
      1_000
    )
    assert.isBelow(exposure.size, 1_001)
    assert.strictEqual(exposure.names().length + exposure.forgotten, 3_000)
  })
})

describe("clientGroup", () => {
  it.each([
    ["ci/npm[42]", "ci/npm"],
    ["codex/psql[42.7]", "codex/psql"],
    ["ci", "ci"],
    ["[42]", "[42]"],
    ["a[b]", "a[b]"],
    ["a[1][2]", "a[1]"],
    ["a[42]b", "a[42]b"],
    ["e\u0301[1]", "e\u0301"]
  ])("of %s is %s", (id, group) => assert.strictEqual(clientGroup(id), group))
})

describe("isOpenWay", () => {
  it("is true where the value went to nobody that is known", () => {
    assert.deepStrictEqual(["lease", "env", "other", "exec", "mcp", "helper:git"].map(isOpenWay), [
      true,
      true,
      true,
      false,
      false,
      false
    ])
  })
})

describe("exposure.json", () => {
  const lines = [
    "secret_add a",
    'lease_acquire a "c"\u202e exec npm',
    "secret_update a",
    "lease_acquire a e\u0301[7]",
    "secret_rotate a: exit status 0, 1 byte of output",
    "store_backup",
    "lease_acquire e\u0301 x",
    "lease_acquire \u00e9 x"
  ]
  const textOf = (exposure: Exposure) => [...encodeExposure(exposure, { seq: 8, line: "f" })].join("")
  const read = (text: string) => {
    const steps = decodeExposure(text)
    for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value
  }

  it("is read as it was written", () => {
    const exposure = exposureOf(lines)
    exposure.from = { seq: 1, at: fromMillis(1) }
    const found = read(textOf(exposure))
    assert.deepStrictEqual(
      [found?.seq, found?.line, found?.exposure.from, found?.exposure.backup?.seq],
      [8, "f", exposure.from, 6]
    )
    for (const name of exposure.names()) assert.deepStrictEqual(found?.exposure.valuesOf(name), exposure.valuesOf(name))
    assert.deepStrictEqual(found?.exposure.names(), ["a", "e\u0301", "\u00e9"])
    assert.doesNotThrow(() => JSON.parse(textOf(exposure)))
  })

  it("is written and read in chunks", () => {
    const exposure = exposureOf(Array.from({ length: 1_200 }, (_, at) => `lease_acquire a c${at}`))
    assert.isAbove([...encodeExposure(exposure, { seq: 1, line: "" })].length, 2)
    assert.deepStrictEqual(read(textOf(exposure))?.exposure.valuesOf("a"), exposure.valuesOf("a"))
  })

  it("is rejected as a whole if any of it is torn", () => {
    const text = textOf(exposureOf(lines))
    for (let length = 0; length < text.length; length += 7) assert.isUndefined(read(text.slice(0, length)))
    assert.isUndefined(read(text.replace('"times":1', '"times":"1"')))
    assert.isUndefined(read(text.replace('"version":1', '"version":2')))
  })
})
