/**
 * The incident, replayed with real processes: what it left 2,632 of leaves 56.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { replayIncident } from "../../scripts/incident.ts"

describe("the incident of 2026-02-22", () => {
  it.live("ends with one lease for each secret, in memory and in the file", () =>
    Effect.gen(function* () {
      const after = yield* Effect.promise(() => replayIncident(() => undefined))
      assert.deepStrictEqual(after, {
        activeLeases: 56,
        leasesInFile: 56,
        replaced: 2576,
        acquired: 2632,
        predecessorWouldHold: 2632
      })
    })
  )
})
