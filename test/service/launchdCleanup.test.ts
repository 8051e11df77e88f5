/**
 * The seconds after a bootout in which launchd refuses to load the job again: outlasted by an upgrade, by a start and
 * by the undoing of a failed upgrade.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as path from "node:path"
import { applyPlan } from "../../src/service/applyPlan.ts"
import { launchdSupervisor } from "../../src/service/launchd.ts"
import { readServiceFiles, stamp } from "../../src/service/ServiceFile.ts"
import { planInstall } from "../../src/service/servicePlan.ts"
import { NotServing, type SupervisorVerb } from "../../src/service/Supervisor.ts"
import { launchdModel } from "../support/launchdModel.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const onModel = Effect.fnUntraced(function* (cleanup: Duration.Input) {
  const model = launchdModel({ cleanup: Duration.toMillis(cleanup) })
  const directory = path.join(yield* temporaryDirectory, "LaunchAgents")
  const supervisor = launchdSupervisor({ uid: 501, directory, environment: {}, run: model.run })
  const verb = (name: SupervisorVerb) =>
    Effect.forEach(supervisor.steps(name, false), supervisor.run, { discard: true })
  const install = Effect.fnUntraced(function* (
    text: string,
    healthCheck: Effect.Effect<void, NotServing> = Effect.void
  ) {
    const installed = yield* readServiceFiles(supervisor.paths)
    const loaded = (yield* supervisor.state).enabled
    const rendered = [{ path: supervisor.paths[0], text: stamp(text, { program: "/x" }) }]
    const plan = yield* Effect.fromResult(planInstall({ supervisor, installed, loaded, force: false }, rendered))
    if (plan !== undefined) yield* applyPlan(plan, { supervisor, installed, loaded, healthCheck })
  })
  return { model, file: supervisor.paths[0], verb, install }
})

/** Moves the clock whenever the effect may be waiting, until it ends. */
const inVirtualTime = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(effect)
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.adjust("50 millis")
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  }
  return yield* Fiber.join(fiber)
})

describe("a job that launchd has not cleaned up", () => {
  for (const cleanup of ["0 seconds", "1 second", "3 seconds", "6 seconds", "14 seconds"] as const) {
    it.effect(`is replaced after ${cleanup}`, () =>
      Effect.gen(function* () {
        const { file, install, model } = yield* onModel(cleanup)
        yield* install("one\n")
        yield* inVirtualTime(install("two\n"))
        assert.strictEqual(model.state.loaded, fs.readFileSync(file, "utf8"))
        assert.match(model.state.loaded ?? "", /^two$/m)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("is reported after 15 seconds, and the old one is loaded again as soon as possible", () =>
    Effect.gen(function* () {
      const { file, install, model } = yield* onModel("20 seconds")
      yield* install("one\n")
      const before = model.state.loaded
      const error = yield* Effect.flip(inVirtualTime(install("two\n")))
      assert.match(error.message, /Bootstrap failed: 5: Input\/output error.*; all changes were undone$/)
      assert.include("fix" in error ? error.fix : "", "Login Items")
      assert.deepStrictEqual([model.state.loaded, fs.readFileSync(file, "utf8")], [before, before])
    }).pipe(Effect.scoped)
  )

  it.effect("does not hinder the undoing of an upgrade whose daemon does not answer", () =>
    Effect.gen(function* () {
      const { install, model } = yield* onModel("6 seconds")
      yield* install("one\n")
      const before = model.state.loaded
      const unhealthy = Effect.fail(new NotServing({ message: "nobody answers", fix: "" }))
      const error = yield* Effect.flip(inVirtualTime(install("two\n", unhealthy)))
      assert.strictEqual(error.message, "nobody answers; all changes were undone")
      assert.strictEqual(model.state.loaded, before)
    }).pipe(Effect.scoped)
  )

  it.effect("is started again after a stop, to the millisecond within 15 seconds", () =>
    Effect.gen(function* () {
      const { install, model, verb } = yield* onModel("15 seconds")
      yield* install("one\n")
      yield* verb("stop")
      assert.isUndefined(model.state.loaded)
      const fiber = yield* Effect.forkChild(verb("start"))
      yield* TestClock.adjust("14999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.isDefined(model.state.loaded)
    }).pipe(Effect.scoped)
  )

  it.effect("is not waited for if the job is loaded already", () =>
    Effect.gen(function* () {
      const { install, model, verb } = yield* onModel("6 seconds")
      yield* install("one\n")
      yield* verb("start")
      assert.strictEqual(model.calls().filter((call) => call.startsWith("bootstrap")).length, 2)
    }).pipe(Effect.scoped)
  )
})
