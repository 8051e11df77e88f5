/**
 * Locks the store under the lock of the state directory, as a daemon would. The store is
 * neither read nor changed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { instancePaths } from "../../../daemon/Daemon.ts"
import { holdDirectory } from "../../../daemon/lifecycle/Instance.ts"
import { openLockFile } from "../../../daemon/secrets/lockFile.ts"
import { missingStore } from "../../../daemon/secrets/storeFiles.ts"
import { lockFact } from "../../../domain/storeFacts.ts"
import type { Config } from "../../../domain/Config.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { CommandError } from "../../command/CommandError.ts"
import { noticeLogger } from "../../command/noticeLogger.ts"
import { startFailure } from "../serve/startFailure.ts"

export const lockWithoutDaemon = Effect.fnUntraced(function* (config: Config) {
  yield* Effect.sync(() => process.umask(0o077))
  const missing = missingStore({ identity: config.identityPath, secrets: config.secretsPath })
  if (missing !== undefined) return yield* nothingToLock(missing.path)
  const held = Layer.effectDiscard(holdDirectory(instancePaths(config)))
  const locking = Effect.gen(function* () {
    const audit = yield* AuditLog
    const lockFile = yield* openLockFile(config.secretsPath)
    const before = lockFile.read()
    const state = before ?? { since: fromMillis(yield* Clock.currentTimeMillis).text, secretCount: 0 }
    if (before === undefined) yield* lockFile.write(state)
    yield* audit.append([lockFact])
    return { since: state.since, already: before !== undefined }
  })
  return yield* locking.pipe(
    Effect.scoped,
    Effect.provide(Layer.provide(AuditLog.layerOf(config), held)),
    Effect.mapError(startFailure)
  )
}, Effect.provide(noticeLogger))

const nothingToLock = (path: string) =>
  new CommandError({
    message: `there is no store to lock: ${path} is missing`,
    code: "io_error",
    fix: "Name its config.json with --config",
    exitStatus: exitStatus.failed
  })
