/**
 * The incident of 2026-02-22, replayed with real processes: it ended with 2,632 leases then, and
 * ends with 56 now. Both event sinks are connected, and dropped events are counted.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { replayIncident } from "../harness/incident.ts"
import { attributesOf, collector } from "../support/collector.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** A slow joelclaw, like the real one. It writes an event at once: another one may run beside it at the stop. */
const slow = (directory: string) => {
  const script = `#!/bin/sh\nevent=$(cat)\nprintf '%s\\n' "$event" >> ${directory}/events\nsleep 0.3\necho '{"ok":true}'\n`
  fs.writeFileSync(path.join(directory, "joelclaw"), script, { mode: 0o755 })
  const events = (): ReadonlyArray<any> =>
    fs
      .readFileSync(path.join(directory, "events"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  return { command: path.join(directory, "joelclaw"), events }
}

describe("the incident of 2026-02-22", () => {
  it.live("ends with one lease for each secret, in memory and in the file, and both sinks report the stop", () =>
    Effect.gen(function* () {
      const joelclaw = slow(yield* temporaryDirectory)
      const to = yield* collector()
      const { sinks, ...after } = yield* Effect.promise(() =>
        replayIncident(() => undefined, { JOELCLAW_BIN: joelclaw.command, OTEL_EXPORTER_OTLP_ENDPOINT: to.url })
      )
      assert.deepStrictEqual(after, {
        activeLeases: 56,
        leasesInFile: 56,
        replaced: 2576,
        acquired: 2632,
        predecessorWouldHold: 2632
      })
      const [first, second] = sinks
      const at = (name: string) => to.logs().filter((record) => attributesOf(record)["event.name"] === name).length
      assert.strictEqual(at("lease.replaced") + (second?.dropped ?? 0), 2576)
      assert.deepStrictEqual([at("daemon.started"), at("daemon.stopped")], [1, 1])
      // The event in flight is in none of the three.
      const known = (first?.sent ?? 0) + (first?.dropped ?? 0) + (first?.queued ?? 0)
      assert.isAtLeast(known, 2576)
      const actions = joelclaw.events().map(({ action }) => action)
      assert.include(actions, "lease.replaced")
      assert.deepStrictEqual(
        actions.filter((action) => action.startsWith("daemon.")),
        ["daemon.started", "daemon.stopped"]
      )
    })
  )
})
