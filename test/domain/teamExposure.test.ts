/** The values of a secret, by the logs of several machines whose clock is that of one server. */
import { assert, describe, it } from "@effect/vitest"
import { Exposure } from "../../src/domain/Exposure.ts"
import { mergeValues, withoutChangesUntil } from "../../src/domain/teamExposure.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

/** Makes a log of entries like "10 update" and "20 lease a", which are times. */
const log = (...entries: ReadonlyArray<string>) => {
  const exposure = new Exposure()
  entries.forEach((entry, index) => {
    const [at = "", what = "", client] = entry.split(" ")
    const action = what === "lease" ? "lease_acquire" : `secret_${what}`
    const details = what === "rotate" ? { details: "exit status 0, 3 bytes of output" } : {}
    const fact = { action, success: true, secret_name: "db", lease_id: entry, ...details }
    exposure.add(client === undefined ? fact : { ...fact, client_id: client }, fromMillis(Number(at)), index + 1)
  })
  return exposure.valuesOf("db")
}

const merged = (own: ReturnType<typeof log>, others: Readonly<Record<string, ReturnType<typeof log>>>) =>
  mergeValues([
    { machine: undefined, values: own },
    ...Object.entries(others).map(([machine, values]) => ({ machine, values }))
  ]).map(({ handouts, rotated, set }) => [
    set === undefined ? "before" : `${set.by.slice(7)} ${set.at.millis} ${set.machine ?? "here"}`,
    ...handouts.map(({ client, machine, times }) => `${client} ${machine ?? "here"} ${times}`),
    ...(rotated === undefined ? [] : [`rotated ${rotated.at.millis}`])
  ])

describe("the values of a team's secret", () => {
  it("are those of this machine if no other one names it", () => {
    const own = log("10 add", "20 lease a", "30 update", "30 lease b")
    assert.deepStrictEqual(merged(own, { m2: [] }), [
      ["add 10 here", "a here 1"],
      ["update 30 here", "b here 1"]
    ])
  })

  it("have the clients of every machine", () => {
    assert.deepStrictEqual(merged(log("10 add", "20 lease a"), { m2: log("15 lease a", "25 lease b"), m3: [] }), [
      ["add 10 here", "a here 1", "a m2 1", "b m2 1"]
    ])
  })

  it("end with a change on another machine, also where a client had both values", () => {
    const own = log("10 add", "20 lease a", "21 lease b", "40 lease b")
    assert.deepStrictEqual(merged(own, { m2: log("12 lease c", "30 update") }), [
      ["add 10 here", "a here 1", "b here 2", "c m2 1"],
      ["update 30 m2", "b here 2"]
    ])
  })

  it("are told apart where a machine was off while the value changed", () => {
    const off = log("12 lease c")
    assert.deepStrictEqual(merged(log("10 add", "30 update", "30 lease a"), { m2: off }), [
      ["add 10 here", "c m2 1"],
      ["update 30 here", "a here 1"]
    ])
  })

  it("count a rotation that kept the value for it alone", () => {
    assert.deepStrictEqual(merged(log("10 add", "20 lease a", "40 update"), { m2: log("30 rotate") }), [
      ["add 10 here", "a here 1", "rotated 30"],
      ["update 40 here"]
    ])
  })

  it("do not change by what a machine did before it joined", () => {
    const own = withoutChangesUntil(log("50 add", "51 lease old", "60 lease a"), 2)
    assert.deepStrictEqual(merged(own, { m1: log("10 add", "20 lease b") }), [
      ["add 10 m1", "old here 1", "a here 1", "b m1 1"]
    ])
  })

  it("before the first known change have the clients of that time", () => {
    assert.deepStrictEqual(merged(log("20 lease a"), { m2: log("5 lease b", "10 update") }), [
      ["before", "b m2 1"],
      ["update 10 m2", "a here 1"]
    ])
  })
})
