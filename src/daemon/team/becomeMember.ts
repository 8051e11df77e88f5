/** What becomes of the leases and the secrets of a machine that joins a team. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { teamJoinFact } from "../../domain/daemonFacts.ts"
import { revokeFact } from "../../domain/leaseFacts.ts"
import type { Config } from "../../domain/Config.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import type { StoreDocument } from "../secrets/storeDocument.ts"
import { teamFaces } from "./teamFaces.ts"

/** Revokes the leases of the files, and records that the machine joins; needs their audit log. */
export const endLocalLeases = Effect.fn("endLocalLeases")(function* (config: Config, name: string) {
  const context = yield* Layer.build(LeaseRepo.layer(config.leasesPath))
  return yield* LeaseRepo.use((leases) =>
    leases.transaction({ _tag: "Everything" }, (tx) => {
      const active = tx.active()
      for (const lease of active) tx.revoke(lease, revokeFact(lease))
      tx.record(teamJoinFact(`this machine is ${name} in the team; ${active.length} of its leases are revoked`))
      return Result.succeed(active.length)
    })
  ).pipe(Effect.provide(context))
}, Effect.scoped)

/** Puts secrets into the team whose names it does not have; returns those names. */
export const bringSecrets = Effect.fn("bringSecrets")(function* (
  config: Config,
  settings: TeamSettings,
  given: StoreDocument
) {
  const faces = teamFaces(config, settings, { last: undefined })
  const context = yield* Layer.build(Layer.provideMerge(faces.secrets, faces.audit))
  return yield* SecretStore.use((store) =>
    Effect.gen(function* () {
      const known = new Set(yield* store.names)
      const secrets = new Map([...given.secrets].filter(([name]) => !known.has(name)))
      if (secrets.size > 0) {
        yield* store.merge({ secrets, foreign: {} }, { overwrite: false, keepNewer: true, dryRun: false })
      }
      return [...secrets.keys()]
    })
  ).pipe(Effect.provide(context))
}, Effect.scoped)
