/**
 * Every plan for launchd against every recorded answer of launchctl, on the fake in memory; and
 * the answers of the fake itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { assess } from "../../src/service/assess.ts"
import { launchdSupervisor } from "../../src/service/launchd.ts"
import type { JobState, SupervisorVerb } from "../../src/service/Supervisor.ts"
import { answerLaunchctl, emptyLaunchd, jobConditions, type LaunchdState } from "../support/launchctlAnswers.ts"
import { launchdModel } from "../support/launchdModel.ts"

const target = "gui/501/dev.agent-secrets.daemon"
const plist = "/Users/joel/Library/LaunchAgents/dev.agent-secrets.daemon.plist"

/** Runs all steps of a verb while time passes; returns the hint of a failure, or "" for none. */
const outcome = Effect.fnUntraced(function* (initial: Partial<LaunchdState>, verb: SupervisorVerb) {
  const model = launchdModel(initial, () => "a property list")
  const supervisor = launchdSupervisor({ uid: 501, directory: "/x", environment: {}, run: model.run })
  const steps = Effect.forEach(supervisor.steps(verb, false), supervisor.run, { discard: true })
  const fiber = yield* Effect.forkChild(
    Effect.match(steps, { onFailure: ({ fix, reason }) => `${reason}: ${fix}`, onSuccess: () => "" })
  )
  while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("250 millis")
  return { failure: yield* Fiber.join(fiber), isLoaded: model.state.loaded !== undefined }
})

const loaded = { loaded: "a property list", pid: 4242 }

describe("a plan for launchd", () => {
  it.effect("loads and starts a job, whatever became of the last one", () =>
    Effect.gen(function* () {
      for (const initial of [
        {},
        { disabled: "disable" },
        ...jobConditions.map((job) => ({ ...loaded, job })),
        ...([5, 17, 37] as const).map((refusal) => ({ refusal, cleanup: 6_000, cleanUntil: "unknown" as const }))
      ] satisfies ReadonlyArray<Partial<LaunchdState>>) {
        for (const verb of ["load", "start"] as const) {
          assert.deepStrictEqual(
            yield* outcome(initial, verb),
            { failure: "", isLoaded: true },
            `${verb} ${JSON.stringify(initial)}`
          )
        }
      }
    })
  )

  it.effect("removes and stops a job, whatever its state, and what is gone already", () =>
    Effect.gen(function* () {
      for (const initial of [
        {},
        { hasDomain: false },
        { disabled: "Login Items" },
        ...jobConditions.flatMap((job) => [0, 1, 3].map((lingers) => ({ ...loaded, job, lingers })))
      ] satisfies ReadonlyArray<Partial<LaunchdState>>) {
        for (const verb of ["unload", "stop"] as const) {
          assert.deepStrictEqual(
            yield* outcome(initial, verb),
            { failure: "", isLoaded: false },
            `${verb} ${JSON.stringify(initial)}`
          )
        }
      }
    })
  )

  it.effect("restarts a job whose kickstart fails now and then", () =>
    Effect.gen(function* () {
      for (const failingRestarts of [0, 1]) {
        const { failure } = yield* outcome({ ...loaded, failingRestarts }, "restart")
        assert.strictEqual(failure, "")
      }
    })
  )

  it.effect("fails with what a person can do", () =>
    Effect.gen(function* () {
      for (const [initial, verb, expected] of [
        [{ disabled: "Login Items" }, "load", /^Bootstrap failed: 119: Service is disabled .*: .*Login Items/],
        [{ cleanup: 20_000, cleanUntil: "unknown" }, "start", /^Bootstrap failed: 5: .*: .*Login Items/],
        [{ hasDomain: false }, "load", /^Could not find domain .*: Log in on the screen/],
        [{ hasDomain: false }, "restart", /^Could not find domain .*: Log in on the screen/],
        [{}, "restart", /^Could not find service/]
      ] as const) {
        const { failure, isLoaded } = yield* outcome(initial, verb)
        assert.match(failure, expected, `${verb} ${JSON.stringify(initial)}`)
        assert.isFalse(isLoaded)
      }
    })
  )

  it.effect("reports what became of a job", () =>
    Effect.gen(function* () {
      const expected: Readonly<Record<LaunchdState["job"], readonly [JobState["phase"], string]>> = {
        running: ["running", "process 4242"],
        "running again": ["running", "process 4242"],
        "being spawned": ["starting", "launchd is starting it"],
        "crash loop": ["failing", "the daemon exited (exit status 5), and launchd is about to restart it"],
        "program missing": ["failing", "it could not be started: its program, its Node"],
        "setting invalid": ["failing", "exit status 78, a setting is invalid"],
        "bad signature": ["failing", "ended by the system, OS_REASON_CODESIGNING"],
        "never started": ["starting", "launchd is starting it"]
      }
      for (const job of jobConditions) {
        const [phase, reason] = expected[job]
        const model = launchdModel({ ...loaded, job })
        const state = yield* launchdSupervisor({ uid: 501, directory: "/x", environment: {}, run: model.run }).state
        assert.deepInclude(state, { phase, pid: phase === "running" ? 4242 : undefined }, job)
        const installed = [{ path: plist, text: "text" }] as const
        const answer = phase === "running" ? { pid: 4242 } : undefined
        const status = assess({ installed, expected: [], job: state, answer, missing: [], supervisor: "launchd" })
        assert.include(status.reason, reason, job)
      }
    })
  )
})

describe("the fake launchctl", () => {
  it("answers as recorded on Macs", () => {
    const unknown = /^Bad request\.\nCould not find service "dev\.agent-secrets\.daemon" in domain for user gui: 501\n$/
    const refused =
      /^Bootstrap failed: 5: Input\/output error\nTry re-running the command as root for richer errors\.\n$/
    for (const [initial, line, status, text] of [
      [{}, `print ${target}`, 113, unknown],
      [{ hasDomain: false }, `print ${target}`, 112, /^Bad request\.\nCould not find domain for user gui: 501\n$/],
      [{ hasDomain: false }, `bootstrap gui/501 ${plist}`, 125, /^Bootstrap failed: 125: Domain does not support/],
      [{}, `bootout ${target}`, 3, /^Boot-out failed: 3: No such process\n$/],
      [{}, `bootout gui/501 ${plist}`, 5, /^Boot-out failed: 5: Input\/output error\n$/],
      [loaded, `bootout --wait ${target}`, 64, /^Unrecognized target specifier\.\nUsage/],
      [loaded, `bootout ${target}`, 0, /^$/],
      [{}, `bootstrap gui/501 ${plist}`, 0, /^$/],
      [loaded, `bootstrap gui/501 ${plist}`, 5, refused],
      [{ cleanup: 1, cleanUntil: "unknown" }, `bootstrap gui/501 ${plist}`, 5, refused],
      [{ refusal: 37, ...loaded }, `bootstrap gui/501 ${plist}`, 37, /^Bootstrap failed: 37: Operation already/],
      [{ disabled: "disable" }, `bootstrap gui/501 ${plist}`, 119, /^Bootstrap failed: 119: Service is disabled\n$/],
      [loaded, `kickstart ${target}`, 37, /^$/],
      [{ ...loaded, job: "crash loop" }, `kickstart ${target}`, 0, /^$/],
      [{}, `kickstart ${target}`, 113, unknown],
      [{ ...loaded, failingRestarts: 1 }, `kickstart -k ${target}`, 5, /^$/],
      [loaded, `kickstart -k ${target}`, 0, /^$/],
      [{}, "frob", 64, /^Unrecognized subcommand: frob\n/]
    ] satisfies ReadonlyArray<readonly [Partial<LaunchdState>, string, number, RegExp]>) {
      const answer = answerLaunchctl(line.split(" "), { ...emptyLaunchd, ...initial }, 0, () => "a property list")
      assert.strictEqual(answer.status, status, line)
      assert.match(answer.stderr, text, line)
    }
  })

  it("undoes `disable` with `enable`, and not the switch in Login Items", () => {
    for (const [disabled, status] of [
      ["disable", 0],
      ["Login Items", 119]
    ] as const) {
      const state: LaunchdState = { ...emptyLaunchd, disabled }
      const ask = (line: string) => answerLaunchctl(line.split(" "), state, 0, () => "a property list")
      assert.include(ask("print-disabled gui/501").stdout, '"dev.agent-secrets.daemon" => disabled')
      assert.strictEqual(ask(`enable ${target}`).status, 0)
      assert.strictEqual(ask(`bootstrap gui/501 ${plist}`).status, status)
    }
  })
})
