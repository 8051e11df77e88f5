/**
 * The state of a service for each observation, as `secrets daemon status` reports it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Observation } from "../../src/service/assess.ts"
import { assess } from "../../src/service/assess.ts"
import { stamp } from "../../src/service/ServiceFile.ts"
import type { JobState } from "../../src/service/Supervisor.ts"
import { unloadedJob } from "../../src/service/Supervisor.ts"

const file = (text = "one\n", program = "/x/secrets") => ({ path: "/u/x.service", text: stamp(text, { program }) })
const running: JobState = { ...unloadedJob, phase: "running", enabled: true, pid: 7 }
const observe = (more: Partial<Observation> = {}): Observation => ({
  installed: [file()],
  expected: [file()],
  job: running,
  answer: { pid: 7 },
  missing: [],
  supervisor: "systemd",
  ...more
})
const noFile: Observation["installed"] = [{ path: "/u/x.service", text: undefined }]

describe("the state of a service", () => {
  it("is running if its process exists and answers", () => {
    assert.deepStrictEqual(assess(observe()), { state: "running", reason: "process 7", fix: "", notes: [] })
  })

  it("is not installed without a file and a job", () => {
    const status = assess(observe({ installed: noFile, job: unloadedJob, answer: undefined }))
    assert.deepInclude(status, { state: "not_installed", fix: "Install it: secrets daemon install" })
  })

  it("is not installed without a file, with why its supervisor cannot be asked", () => {
    const unasked = { reason: "systemd cannot be asked: no bus", fix: "Log in" }
    assert.deepInclude(assess(observe({ installed: noFile, job: unloadedJob, answer: undefined, unasked })), {
      state: "not_installed",
      reason: "there is no service file, and systemd cannot be asked: no bus",
      fix: "Log in"
    })
  })

  it("is not answering without a service if a daemon holds the state directory", () => {
    const hung = { installed: noFile, job: unloadedJob, answer: undefined, hangFix: "End it" }
    assert.deepInclude(assess(observe(hung)), { state: "not_answering", fix: "End it" })
  })

  it("is running unmanaged if a daemon answers without a service", () => {
    const status = assess(observe({ installed: noFile, job: unloadedJob, answer: { pid: 9 } }))
    assert.deepInclude(status, { state: "running_unmanaged", fix: "" })
    assert.include(status.reason, "process 9 answers, started by hand or by another supervisor")
    for (const [startedBy, reason] of [
      ["hand", "process 9 answers, started by hand"],
      ["supervisor", "process 9 answers, started by another supervisor"]
    ] as const) {
      const answer = { pid: 9, startedBy }
      assert.strictEqual(assess(observe({ installed: noFile, job: unloadedJob, answer })).reason, reason)
    }
  })

  it("is not answering if its process hangs", () => {
    const status = assess(observe({ answer: undefined }))
    assert.deepInclude(status, { state: "not_answering", fix: "Restart it: secrets daemon restart" })
  })

  it("is stopped, not loaded or starting as the supervisor reports", () => {
    const stateOf = (job: JobState) => assess(observe({ job, answer: undefined })).state
    assert.deepStrictEqual(
      [unloadedJob, { ...running, phase: "stopped" as const }, { ...running, phase: "starting" as const }].map(stateOf),
      ["not_loaded", "stopped", "starting"]
    )
  })

  it("is not loaded, with what has to be done first", () => {
    assert.deepInclude(assess(observe({ job: { ...unloadedJob, fix: "Log in" }, answer: undefined })), {
      state: "not_loaded",
      fix: "Log in"
    })
  })

  it("is failing with the exit status and a hint", () => {
    for (const [lastExit, why, what] of [
      [{ status: 78, by: "supervisor" }, "it could not be started", "Install it again"],
      [{ reason: "OS_REASON_CODESIGNING" }, "ended by the system, OS_REASON_CODESIGNING", "not cp"],
      [{ reason: "JETSAM" }, "ended by the system, JETSAM", "secrets daemon logs"],
      [{ status: 65 }, "the store cannot be read", "Run secrets serve"],
      [{ status: 78 }, "a setting is invalid", "secrets daemon logs names"],
      [{ status: 75 }, "another daemon is running", "Stop the other daemon"],
      [{ status: 73 }, "a file or the socket cannot be created", "free space"],
      [{ status: 1 }, "exit status 1", "secrets daemon logs"],
      [{ signal: "SIGKILL" }, "killed by SIGKILL", "secrets daemon logs"]
    ] as const) {
      const status = assess(observe({ job: { ...running, phase: "failing", lastExit }, answer: undefined }))
      assert.strictEqual(status.state, "failing")
      assert.include(status.reason, why)
      assert.include(status.fix, what)
      assert.include(status.reason, "is about to restart it")
    }
    const given = assess(observe({ job: { ...running, phase: "failed", lastExit: { status: 78 } }, answer: undefined }))
    assert.include(given.reason, "systemd does not restart it")
  })

  it("is stale if an installation would write another file now", () => {
    const moved = assess(observe({ expected: [file("one\n", "/y/secrets")] }))
    assert.deepInclude(moved, {
      state: "stale",
      reason: "process 7, but the service runs /x/secrets, and this command is /y/secrets"
    })
    assert.include(assess(observe({ expected: [file("other\n")] })).reason, "would write another file")
    assert.include(assess(observe({ missing: ["/x/secrets"] })).reason, "its program is missing: /x/secrets")
    assert.include(assess(observe({ job: { ...running, needsReload: true } })).fix, "daemon-reload")
    const socket = { path: "/u/x.socket", text: stamp("s\n", { program: "/x/secrets" }) }
    assert.strictEqual(
      assess(observe({ installed: [file(), { ...socket, text: undefined }], expected: [file(), socket] })).state,
      "stale"
    )
  })

  it("is mended by an installation alone if its program is missing, whatever its job does", () => {
    for (const phase of ["running", "stopped", "unloaded", "starting", "failed"] as const) {
      const job: JobState = { ...running, phase }
      const { fix } = assess(observe({ missing: ["/x/secrets"], job, answer: undefined }))
      assert.include(fix, "secrets daemon install", phase)
    }
  })

  it("is failing for what is missing, not for a setting, if its Node is gone", () => {
    for (const lastExit of [{ status: 78 }, { status: 78, by: "supervisor" }] as const) {
      const job: JobState = { ...running, phase: "failing", lastExit }
      const status = assess(observe({ missing: ["/Cellar/node"], job, answer: undefined, supervisor: "launchd" }))
      assert.deepInclude(status, {
        state: "failing",
        reason: "launchd could not start it: its program is missing: /Cellar/node",
        fix: "Install it again: secrets daemon install"
      })
    }
  })

  it("is failing with a note if it is also stale", () => {
    const status = assess(observe({ missing: ["/x/secrets"], job: { ...running, phase: "failed" }, answer: undefined }))
    assert.strictEqual(status.state, "failing")
    assert.include(status.notes.join(), "its program is missing: /x/secrets")
  })

  it("is running with a note if its file was edited", () => {
    const edited = { ...file(), text: `${file().text}mine\n` }
    const status = assess(observe({ installed: [edited] }))
    assert.strictEqual(status.state, "running")
    assert.include(status.notes.join(), "/u/x.service was edited after the installation")
  })
})
