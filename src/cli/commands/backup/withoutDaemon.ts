/**
 * Runs a backup or a restore under the lock of the state directory, as a daemon would, with the
 * same audit entries.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { makeDirectory } from "../../../daemon/files/pinDirectory.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { missingStore } from "../../../daemon/secrets/storeFiles.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import type { Config } from "../../../domain/Config.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { checkOwner } from "../../command/settings.ts"
import { noticeLogger } from "../../command/noticeLogger.ts"
import { startFailure } from "../serve/startFailure.ts"

interface Options {
  /** The command, for a hint. */
  readonly command: string
  /** Whether a store is created where there is none. */
  readonly create: boolean
}

export const withoutDaemon = <A, E>(
  config: Config,
  { command, create }: Options,
  operation: Effect.Effect<A, E, SecretStore | AuditLog>
) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => process.umask(0o077))
    yield* checkOwner(config.directory, command)
    const paths = { identity: config.identityPath, secrets: config.secretsPath }
    const missing = create ? undefined : missingStore(paths)
    if (missing !== undefined) {
      const { fix, message } = {
        message: `there is no store: ${missing.path} is missing`,
        fix: "Name its config.json with --config"
      }
      return yield* new CommandError({ message, fix, code: "io_error", exitStatus: exitStatus.failed })
    }
    const held = Layer.effectDiscard(
      Effect.andThen(create ? makeDirectory(config.directory) : Effect.void, holdDirectory(instancePaths(config)))
    )
    const store = SecretStore.layer(paths).pipe(Layer.provideMerge(AuditLog.layerOf(config)), Layer.provide(held))
    const context = yield* Effect.mapError(Layer.build(store), startFailure)
    return yield* Effect.provide(operation, context)
  }).pipe(Effect.scoped, Effect.provide(noticeLogger))
