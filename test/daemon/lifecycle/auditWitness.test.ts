/**
 * The last audit entry is sent when there is a new one, to syslog and as an event, and a
 * logger that fails or hangs delays nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { makeWitness, sendWitnesses } from "../../../src/daemon/lifecycle/auditWitness.ts"
import { addFact } from "../../../src/domain/storeFacts.ts"
import { minute } from "../../../src/domain/GoDuration.ts"
import type { OtelEvent } from "../../../src/otel/OtelEvent.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const services = (events: Array<OtelEvent>) => Layer.merge(memoryAuditLog, OtelSink.layerMemory(events))
const append = AuditLog.use((audit) => audit.append([addFact("db")]))

describe("the witness of the audit log", () => {
  it.effect("is an event at the start and at each interval with a new entry", () => {
    const events: Array<OtelEvent> = []
    return Effect.gen(function* () {
      const settings = { syslog: false, events: true, interval: minute }
      yield* append
      const send = yield* makeWitness(settings)
      const sending = yield* Effect.forkChild(sendWitnesses(settings, send), { startImmediately: true })
      const counts: Array<number> = []
      for (const isNew of [false, true, false]) {
        if (isNew) yield* append
        counts.push(events.length)
        yield* TestClock.adjust("1 minute")
      }
      assert.deepStrictEqual([...counts, events.length], [1, 1, 2, 2])
      const { line, seq } = yield* Effect.flatMap(AuditLog, ({ position }) => position)
      assert.deepInclude(events[1], { action: "audit.witnessed", metadata: { auditSeq: seq, auditHash: line } })
      yield* Fiber.interrupt(sending)
    }).pipe(Effect.provide(services(events)))
  })

  it.live("goes to syslog through logger, and a logger that fails is logged once", () => {
    const logged: Array<string> = []
    return Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [tool, written] = [path.join(directory, "logger"), path.join(directory, "written")]
      const writeTool = (end: string) =>
        fs.writeFileSync(tool, `#!/bin/sh\nfor word; do echo "$word"; done >> ${written}\n${end}\n`, { mode: 0o755 })
      writeTool("exit 0")
      const send = yield* makeWitness({ syslog: true, events: false, interval: minute }, directory)
      yield* append
      yield* send
      const { at, line, seq } = yield* Effect.flatMap(AuditLog, ({ position }) => position)
      const words = ["-t", "agent-secrets", "-p", "authpriv.notice", `audit witness: ${seq} ${line} ${at}`]
      assert.strictEqual(fs.readFileSync(written, "utf8"), `${words.join("\n")}\n`)
      writeTool("exit 3")
      for (let n = 0; n < 2; n += 1) yield* Effect.andThen(append, send)
      assert.deepStrictEqual(logged, ["audit witness: logger: exit status 3"])
    }).pipe(
      Effect.provide(services([])),
      Effect.provide(Logger.layer([Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))]))
    )
  })
})
