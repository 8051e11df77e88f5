/**
 * Creates the key and an empty store under the lock of the state directory, or reads
 * the existing store.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { makeDirectory } from "../../../daemon/files/pinDirectory.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import type { Config } from "../../../domain/Config.ts"
import { noticeLogger } from "../../command/noticeLogger.ts"
import { startFailure } from "../serve/startFailure.ts"

export const createStore = Effect.fnUntraced(function* (config: Config) {
  yield* Effect.sync(() => process.umask(0o077))
  const store = SecretStore.layer({ identity: config.identityPath, secrets: config.secretsPath }).pipe(
    Layer.provide(AuditLog.layerOf(config)),
    Layer.provide(
      Layer.effectDiscard(Effect.andThen(makeDirectory(config.directory), holdDirectory(instancePaths(config))))
    )
  )
  return yield* Effect.gen(function* () {
    const secrets = yield* SecretStore
    return { origin: secrets.origin, count: yield* secrets.count }
  }).pipe(Effect.provide(store), Effect.mapError(startFailure))
}, Effect.provide(noticeLogger))
