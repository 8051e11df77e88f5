/**
 * What `secrets daemon status` makes of what can be seen.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Observation } from "../../src/service/assess.ts"
import { assess } from "../../src/service/assess.ts"
import { stamp } from "../../src/service/stamp.ts"
import type { JobState } from "../../src/service/Supervisor.ts"
import { unknownJob } from "../../src/service/Supervisor.ts"

const file = (text = "one\n", program = "/x/secrets") => ({ path: "/u/x.service", text: stamp(text, { program }) })
const running: JobState = { ...unknownJob, phase: "running", enabled: true, pid: 7 }
const sight = (more: Partial<Observation> = {}): Observation => ({
  found: [file()],
  expected: [file()],
  job: running,
  answer: { pid: 7 },
  missing: [],
  supervisor: "systemd",
  ...more
})
const nowhere: Observation["found"] = [{ path: "/u/x.service", text: undefined }]

describe("the state of a service", () => {
  it("is running if its process is there and answers", () => {
    assert.deepStrictEqual(assess(sight()), { state: "running", reason: "process 7", fix: "", notes: [] })
  })

  it("is not installed where there is neither file nor job", () => {
    const verdict = assess(sight({ found: nowhere, job: unknownJob, answer: undefined }))
    assert.deepInclude(verdict, { state: "not_installed", fix: "secrets daemon install" })
  })

  it("is somebody else's where a daemon answers all the same", () => {
    const verdict = assess(sight({ found: nowhere, job: unknownJob, answer: { pid: 9 } }))
    assert.deepInclude(verdict, { state: "running_unmanaged", fix: "" })
    assert.include(verdict.reason, "process 9 answers, started by hand or by another supervisor")
  })

  it("is not answering if a process is there and hangs", () => {
    const verdict = assess(sight({ answer: undefined }))
    assert.deepInclude(verdict, { state: "not_answering", fix: "Have it started anew: secrets daemon restart" })
  })

  it("is stopped, not loaded or starting as the supervisor says", () => {
    const stateOf = (job: JobState) => assess(sight({ job, answer: undefined })).state
    assert.deepStrictEqual(
      [unknownJob, { ...running, phase: "stopped" as const }, { ...running, phase: "starting" as const }].map(stateOf),
      ["not_loaded", "stopped", "starting"]
    )
  })

  it("is failing with the reason and what helps", () => {
    for (const [lastEnd, why, what] of [
      [{ status: 65 }, "the store cannot be read", "secrets serve, run by hand"],
      [{ status: 78 }, "a setting is wrong", "secrets daemon logs says which"],
      [{ status: 75 }, "another daemon is at work there", "Stop that one"],
      [{ status: 73 }, "a file or the socket cannot be made", "free space"],
      [{ status: 1 }, "exit status 1", "secrets daemon logs"],
      [{ signal: "SIGKILL" }, "killed by SIGKILL", "secrets daemon logs"]
    ] as const) {
      const verdict = assess(sight({ job: { ...running, phase: "failing", lastEnd }, answer: undefined }))
      assert.strictEqual(verdict.state, "failing")
      assert.include(verdict.reason, why)
      assert.include(verdict.fix, what)
      assert.include(verdict.reason, "is about to start it again")
    }
    const given = assess(sight({ job: { ...running, phase: "failed", lastEnd: { status: 78 } }, answer: undefined }))
    assert.include(given.reason, "systemd gave it up")
  })

  it("is stale if it would be installed otherwise now", () => {
    const moved = assess(sight({ expected: [file("one\n", "/y/secrets")] }))
    assert.deepInclude(moved, { state: "stale", reason: "process 7, but it runs /x/secrets, and this is /y/secrets" })
    assert.include(assess(sight({ expected: [file("other\n")] })).reason, "it would be written otherwise now")
    assert.include(assess(sight({ missing: ["/x/secrets"] })).reason, "/x/secrets, which it runs, is not there")
    assert.include(assess(sight({ job: { ...running, outdated: true } })).fix, "daemon-reload")
    const socket = { path: "/u/x.socket", text: stamp("s\n", { program: "/x/secrets" }) }
    assert.strictEqual(
      assess(sight({ found: [file(), { ...socket, text: undefined }], expected: [file(), socket] })).state,
      "stale"
    )
  })

  it("is told beside a worse state, not instead of it", () => {
    const verdict = assess(sight({ missing: ["/x/secrets"], job: { ...running, phase: "failed" }, answer: undefined }))
    assert.strictEqual(verdict.state, "failing")
    assert.include(verdict.notes.join(), "/x/secrets, which it runs, is not there")
  })

  it("is running with a note if a person edited its file", () => {
    const edited = { ...file(), text: `${file().text}mine\n` }
    const verdict = assess(sight({ found: [edited] }))
    assert.strictEqual(verdict.state, "running")
    assert.include(verdict.notes.join(), "/u/x.service was edited since it was installed")
  })
})
