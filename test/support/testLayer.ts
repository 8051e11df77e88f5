/**
 * The daemon's services in memory, and shortcuts to use and inspect them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { AuditLogError } from "../../src/daemon/audit/AuditLogError.ts"
import { ExposureLedger } from "../../src/daemon/audit/ExposureLedger.ts"
import { acquire } from "../../src/daemon/operations/acquire.ts"
import { ScanBudget } from "../../src/daemon/operations/ScanBudget.ts"
import { Proxy } from "../../src/daemon/proxy/Proxy.ts"
import { FileError } from "../../src/daemon/files/durableFile.ts"
import { LeaseRepo } from "../../src/daemon/leases/LeaseRepo.ts"
import { type HookResult, RotationHook } from "../../src/daemon/secrets/RotationHook.ts"
import { Runs } from "../../src/daemon/runs/Runs.ts"
import { SecretStore } from "../../src/daemon/secrets/SecretStore.ts"
import { hour } from "../../src/domain/GoDuration.ts"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"
import { OtelSink } from "../../src/otel/OtelSink.ts"
import { memoryAuditLog } from "./memoryAuditLog.ts"

/** Without the audit log and the sink. */
const inMemory = Proxy.layer(() => Effect.succeed({ sockets: [] })).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      LeaseRepo.layerMemory,
      SecretStore.layerMemory,
      ScanBudget.layer,
      Runs.layer,
      ExposureLedger.layerMemory
    )
  )
)

/** All services in memory; events are pushed to the array. */
export const testLayer = (events: Array<OtelEvent> = []) =>
  inMemory.pipe(Layer.provideMerge(memoryAuditLog), Layer.provideMerge(OtelSink.layerMemory(events)))

/** All services in memory, without events. */
export const testLayerNoTelemetry = inMemory.pipe(
  Layer.provideMerge(memoryAuditLog),
  Layer.provideMerge(OtelSink.layerMemory())
)

export const addSecret = (name: string, value = `value of ${name}`, rotateVia = "") =>
  SecretStore.use((secrets) => secrets.add({ name, value: Redacted.make(value), rotateVia, rotateStdout: false }))

/** Acquires a lease, for an hour by default. */
export const acquireLease = (secretName: string, clientId: string, ttl = hour) => acquire({ secretName, clientId, ttl })

export const activeCount = LeaseRepo.use((leases) => leases.activeCount)

/** The audit entries about leases, oldest first. */
export const leaseEntries = Effect.map(
  AuditLog.use((audit) => audit.tail(10_000)),
  (entries) => entries.filter(({ action }) => action.startsWith("lease_"))
)

/** Like `testLayerNoTelemetry`, with an audit log that fails while `broken.now` is true. */
export const testLayerWithAudit = (broken: { now: boolean }) =>
  inMemory.pipe(Layer.provideMerge(breakable(broken)), Layer.provideMerge(OtelSink.layerMemory()))

const breakable = (broken: { now: boolean }) =>
  Layer.effect(
    AuditLog,
    Effect.map(AuditLog, (audit) =>
      AuditLog.of({
        ...audit,
        append: (facts) => Effect.suspend(() => (broken.now ? Effect.fail(diskFull) : audit.append(facts)))
      })
    )
  ).pipe(Layer.provide(memoryAuditLog))

const diskFull = new AuditLogError({
  operation: "append",
  cause: new FileError({ operation: "append to", path: "audit.log", cause: new Error("no space left on device") })
})

/** Rotation commands whose results a function returns. */
export const rotationHook = (run: (command: string, secretName: string) => HookResult) =>
  Layer.succeed(RotationHook, { run: (command, secretName) => Effect.sync(() => run(command, secretName)) })
