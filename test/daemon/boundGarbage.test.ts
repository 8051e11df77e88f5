/**
 * That a daemon bounds the engine's garbage, and only when what it loads at its start is
 * loaded. The engine's tag for compiled code shows whether its flags are other ones.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as v8 from "node:v8"
import { boundGarbage } from "../../src/daemon/boundGarbage.ts"

it.effect("bounds the engine's garbage once the start is over", () =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Effect.sync(() => v8.setFlagsFromString("--heap-growing-percent=0")))
    const before = v8.cachedDataVersionTag()
    yield* Effect.forkScoped(boundGarbage)
    yield* TestClock.adjust("999 millis")
    assert.strictEqual(v8.cachedDataVersionTag(), before)
    yield* TestClock.adjust("1 milli")
    assert.notStrictEqual(v8.cachedDataVersionTag(), before)
  })
)
