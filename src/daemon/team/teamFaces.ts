/**
 * The three faces of a team: leases, secrets and audit log over one database, in place of the
 * layers over files. Everything above them is the same.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as path from "node:path"
import type { Config } from "../../domain/Config.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { auditNeighbours } from "../audit/auditEvidence.ts"
import { StartError } from "../files/fileLock.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import type { StoreMemory } from "../secrets/storeFiles.ts"
import { writeAnchors } from "./anchors.ts"
import { connectionOptions } from "./connect.ts"
import { readSigner } from "./signer.ts"
import { makeTeam, Team } from "./Team.ts"
import { teamLeasesLayer } from "./teamLeases.ts"
import { openTeamMemory, teamMemoryName } from "./teamMemory.ts"
import { openTeamStore } from "./teamStore.ts"
import { makeTeamWire } from "./TeamWire.ts"

export const teamFaces = (config: Config, settings: TeamSettings, memory: StoreMemory) => {
  // One layer, so that the faces share what it makes.
  const team = Layer.unwrap(Effect.as(rejectPasswordVariable, teamOf(config, settings)))
  const paths = { identity: config.identityPath, secrets: config.secretsPath }
  const secrets = Effect.map(Team, (found) =>
    SecretStore.layer(paths, memory, (...given) =>
      Effect.provideService(openTeamStore(...given, settings), Team, found)
    )
  )
  return {
    leases: Layer.provide(teamLeasesLayer, team),
    secrets: Layer.provide(Layer.unwrap(secrets), team),
    audit: Layer.provide(Layer.provideMerge(keepUp(config), auditOf(config)), team)
  }
}

/** Makes the leases and the log without a store, for a command that runs in place of the daemon. */
export const teamLayers = (config: Config, settings: TeamSettings) =>
  teamLeasesLayer.pipe(Layer.provideMerge(auditOf(config)), Layer.provideMerge(teamOf(config, settings)))

/** Rejects a password in the environment: the daemon does not read it, and what it starts would inherit it. */
const rejectPasswordVariable = Effect.suspend(() =>
  process.env["PGPASSWORD"] === undefined
    ? Effect.void
    : new StartError({
        reason: "the variable PGPASSWORD is set: the password of a machine comes from team.password_file",
        fix: "Unset PGPASSWORD",
        exitStatus: exitStatus.badConfig
      })
)

const duration = (nanos: bigint) => Duration.millis(toMillis(nanos))

const teamOf = ({ directory }: Config, settings: TeamSettings) =>
  Layer.effect(
    Team,
    Effect.gen(function* () {
      const timeout = duration(settings.timeout)
      const wire = yield* makeTeamWire(yield* connectionOptions(settings), timeout)
      const memory = yield* openTeamMemory(path.join(directory, teamMemoryName))
      return yield* makeTeam(wire, { name: settings.name, timeout, beat: duration(settings.beat), memory })
    })
  )

/** Makes the audit log, whose file is the copy of this machine's chain. */
const auditOf = (config: Config) =>
  Layer.unwrap(
    Effect.map(Team, ({ commit }) =>
      AuditLog.layer(config.auditPath, config.auditRotation, auditNeighbours(config), commit)
    )
  )

const keepUp = (config: Config) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const team = yield* Team
      const audit = yield* AuditLog
      yield* Effect.forkScoped(team.keepUp(audit.append([])))
      // Where the store is locked, its key is not there, and nothing is anchored until the next start.
      const signer = yield* Effect.option(readSigner(config, team.name))
      if (Option.isSome(signer)) yield* Effect.forkScoped(writeAnchors(signer.value.key))
    })
  )
