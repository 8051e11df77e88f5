/**
 * Programs of which no end is recorded. Entries are written as `action lease run: details`; `-` is no run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Exposure } from "../../src/domain/Exposure.ts"
import { decodeExposure, encodeExposure } from "../../src/domain/exposureFile.ts"
import { StartedPrograms } from "../../src/domain/StartedPrograms.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

const factOf = (line: string) => {
  const [, words = "", details] = /^!?(.*?)(?:: (.*))?$/.exec(line) ?? []
  const [action = "", lease_id = "-", run_id = "-", via = "exec"] = words.split(" ")
  const said = { ...(lease_id !== "-" && { lease_id }), ...(run_id !== "-" && { run_id }), ...(details && { details }) }
  return { action, success: !line.startsWith("!"), secret_name: "a", client_id: "ci/npm[7]", via, ...said }
}

const left = (lines: ReadonlyArray<string>, limit?: number) => {
  const programs = new StartedPrograms(limit)
  for (const [at, line] of lines.entries()) programs.add(factOf(line), at + 1)
  return [...programs.all()].map(({ leaseId, run }) => `${leaseId} ${run || "-"}`)
}

const begun = ["lease_acquire L1", "run_begin L1 R"]

describe("programs of which no end is recorded", () => {
  it.each([
    ["is one that was never registered", ["lease_acquire L1"], ["L1 -"]],
    ["is one that runs", begun, ["L1 R"]],
    [
      "is one of several leases",
      ["lease_acquire L1", "lease_acquire L2", "run_begin - R: 2 leases: L1 L2"],
      ["L1 R", "L2 R"]
    ],
    ["is one whose starter is gone", [...begun, "run_end - R: connection lost"], ["L1 R"]],
    ["is one of which the process id was known", [...begun, "run_end - R: connection lost, pid 4242"], ["L1 R"]],
    [
      "is one whose lease was revoked, replaced or over",
      [...begun, "lease_revoke L1", "lease_expire L1", "killswitch"],
      ["L1 R"]
    ],
    ["is one that was restarted with another lease", [...begun, "lease_acquire L2 R"], ["L1 R", "L2 R"]],
    ["is none that ended", [...begun, "lease_acquire L2 R", "run_end - R: status 0"], []],
    ["is none whose lease ended with it", [...begun, "lease_revoke L1 R"], []],
    ["is none whose lease was given back", ["lease_acquire L1", "lease_revoke L1: returned"], []],
    [
      "is none whose lease was given back after its end",
      ["lease_acquire L1", "!lease_revoke L1: returned: lease not found"],
      []
    ],
    ["is none of a refused lease", ["!lease_acquire L1"], []],
    ["is none of a value that was printed", ["lease_acquire L1 - lease", "lease_acquire L2 - env"], []],
    ["is one that mcp started", ["lease_acquire L1 - mcp"], ["L1 -"]]
  ] as const)("%s", (_, lines, expected) => {
    const hex = (text: string) => text.replaceAll("L1", "a1").replaceAll("L2", "a2")
    assert.deepStrictEqual(left(lines.map(hex)), expected.map(hex))
  })

  it("are as many as fit, and of the others their number", () => {
    const programs = new StartedPrograms(2)
    for (const [at, id] of ["a1", "a2", "a3"].entries()) programs.add(factOf(`lease_acquire ${id}`), at)
    assert.deepStrictEqual([programs.find("a1"), programs.find("a3")?.seq, programs.forgotten], [undefined, 2, 1])
  })

  it("are in exposure.json, and in a copy of their own", () => {
    const exposure = new Exposure()
    for (const [at, line] of ["lease_acquire a1", "run_begin a1 R", "lease_acquire a2"].entries())
      exposure.add(factOf(line), fromMillis(at), at)
    exposure.programs.forgotten = 3
    const copy = exposure.copy()
    exposure.add(factOf("run_end - R: status 0"), fromMillis(9), 9)
    const decoding = decodeExposure([...encodeExposure(copy, { seq: 3, line: "x" })].join(""))
    let step = decoding.next()
    while (step.done !== true) step = decoding.next()
    const { programs } = step.value?.exposure ?? exposure
    assert.deepStrictEqual([[...programs.all()], programs.forgotten], [[...copy.programs.all()], 3])
    assert.deepStrictEqual([programs.find("a1")?.run, exposure.programs.find("a1")], ["R", undefined])
    programs.add(factOf("run_end - R: status 0"), 10)
    assert.isUndefined(programs.find("a1"))
  })
})
