/**
 * The daemon's files in a directory: layers that open and close them as Daemon.ts does, and
 * what somebody may do to them in between.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditNeighbours } from "../../src/daemon/audit/auditEvidence.ts"
import { AuditLog } from "../../src/daemon/audit/AuditLog.ts"
import { verifyAuditLog } from "../../src/daemon/audit/verifyAuditLog.ts"
import { LeaseRepo } from "../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../src/daemon/leases/LeaseScope.ts"
import { verifyAtStart } from "../../src/daemon/lifecycle/verifyAtStart.ts"
import { Runs } from "../../src/daemon/runs/Runs.ts"
import { SecretStore } from "../../src/daemon/secrets/SecretStore.ts"
import { OtelSink } from "../../src/otel/OtelSink.ts"
import { startFact, stopFact } from "../../src/domain/daemonFacts.ts"
import { acquireFact } from "../../src/domain/leaseFacts.ts"
import { withStore } from "../../src/domain/storeFacts.ts"
import { hour } from "../../src/domain/GoDuration.ts"
import { encodeRunHistory, noRuns, withAuditEnd } from "../../src/domain/runHistory.ts"
import { lease } from "../daemon/leases/LeaseRepoSuite.ts"

type Services = AuditLog | LeaseRepo | OtelSink | Runs | SecretStore

const pathsIn = (directory: string) => ({
  directory,
  audit: path.join(directory, "audit.log"),
  leasesPath: path.join(directory, "leases.json"),
  secretsPath: path.join(directory, "secrets.age")
})

const daemonIn = (directory: string) => {
  const { audit, leasesPath, secretsPath } = pathsIn(directory)
  const log = AuditLog.layer(
    audit,
    { maxSize: 1_500, maxFiles: 100 },
    auditNeighbours({ directory, leasesPath, secretsPath })
  )
  return Layer.mergeAll(
    Runs.layer,
    LeaseRepo.layer(leasesPath),
    SecretStore.layer({ identity: path.join(directory, "identity.age"), secrets: secretsPath })
  ).pipe(Layer.provideMerge(log), Layer.provideMerge(OtelSink.layerMemory()))
}

const append = (fact: Parameters<AuditLog["Service"]["append"]>[0][number]) =>
  AuditLog.use((audit) => audit.append([fact]))

/** What Daemon.ts does around a program: the entries at the start and at the stop, and runs.json. */
const started = Effect.gen(function* () {
  const { hash } = yield* SecretStore
  yield* append(withStore(startFact("/s"), yield* hash))
})
const stopped = (directory: string) =>
  Effect.flatMap(append(stopFact), ({ line, seq }) =>
    Effect.sync(() =>
      fs.writeFileSync(path.join(directory, "runs.json"), encodeRunHistory(withAuditEnd(noRuns, { seq, hash: line })))
    )
  )

/** Runs a program as one daemon, from its start to an orderly stop. */
export const session = Effect.fnUntraced(function* <A, E>(directory: string, program: Effect.Effect<A, E, Services>) {
  const scope = yield* Scope.make()
  const log = yield* Layer.buildWithScope(
    Layer.fresh(
      Layer.effectDiscard(
        Effect.flatMap(AuditLog, (audit) =>
          Effect.addFinalizer(() => Effect.ignore(Effect.provideService(stopped(directory), AuditLog, audit)))
        )
      ).pipe(Layer.provideMerge(daemonIn(directory)))
    ),
    scope
  )
  const result = yield* Effect.provide(Effect.andThen(started, program), log)
  yield* Scope.close(scope, Exit.void)
  return result
})

export const add = (name: string) =>
  SecretStore.use((store) => store.add({ name, value: Redacted.make("made up"), rotateVia: "", rotateStdout: false }))
export const take = (id: string) =>
  LeaseRepo.use((leases) =>
    leases.transaction(everything, (tx) => {
      const one = lease(id, { client: id })
      return Result.succeed(tx.issue(one, acquireFact(one, hour)))
    })
  )

/** The kinds of what the verification finds. */
export const verified = (directory: string) =>
  TestClock.withLive(
    verifyAuditLog(path.join(directory, "audit.log"), { beside: auditNeighbours(pathsIn(directory)) })
  ).pipe(Effect.map(({ findings }) => findings.map(({ kind }) => kind)))

/** What a start reports, in its diagnostics, and the leases that it has. */
export const reported = (directory: string) =>
  session(
    directory,
    Effect.gen(function* () {
      yield* TestClock.withLive(verifyAtStart)
      const { adopted, findings } = yield* Effect.flatMap(AuditLog, (audit) => audit.diagnostics)
      const active = yield* Effect.flatMap(LeaseRepo, (leases) => leases.active)
      return { adopted, findings, leases: active.map(({ id }) => id).toSorted() }
    })
  )

export const copyOf = (directory: string) =>
  new Map(fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name))]))

export interface Place {
  readonly directory: string
  readonly older: ReadonlyMap<string, Buffer>
  readonly file: (name: string) => string
  readonly lines: () => Array<string>
  readonly write: (lines: ReadonlyArray<string>) => void
  readonly remove: (...names: ReadonlyArray<string>) => void
  readonly rollBack: (...names: ReadonlyArray<string>) => void
}

export const placeOf = ({
  directory,
  older
}: {
  readonly directory: string
  readonly older: ReadonlyMap<string, Buffer>
}): Place => {
  const file = (name: string) => path.join(directory, name)
  return {
    directory,
    older,
    file,
    lines: () =>
      fs
        .readFileSync(file("audit.log"), "utf8")
        .split(/(?<=\n)/)
        .filter((line) => line !== ""),
    write: (lines) => fs.writeFileSync(file("audit.log"), lines.join("")),
    remove: (...names) => names.forEach((name) => fs.rmSync(file(name), { force: true })),
    rollBack: (...names) => names.forEach((name) => fs.writeFileSync(file(name), older.get(name) ?? Buffer.alloc(0)))
  }
}
