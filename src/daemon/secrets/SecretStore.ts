/**
 * The secrets: in memory for reading, encrypted in secrets.age.
 *
 * `storeFiles` finds, creates, checks and writes the files; only it holds the key. `changeStore`
 * is the one place that changes them, and `lockableStore` adds the lock.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createHmac } from "node:crypto"
import { fileRepairedFact } from "../../domain/daemonFacts.ts"
import { initFact, withStore } from "../../domain/storeFacts.ts"
import { counted } from "../../domain/counted.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { AgeError } from "./ageFile.ts"
import { changeableStore } from "./changeStore.ts"
import { type LockableStore, makeLockable } from "./lockableStore.ts"
import { memoryLockFile, openLockFile } from "./lockFile.ts"
import { emptyStore } from "./storeDocument.ts"
import {
  hashOfStore,
  missingStore,
  openStore,
  unreadable,
  type StoreFiles,
  type StoreMemory,
  type StorePaths
} from "./storeFiles.ts"

/** Opens the files of the store: `openStore`, or what puts others in their place. */
type OpenFiles = (
  ...given: Parameters<typeof openStore>
) => Effect.Effect<StoreFiles, Effect.Error<ReturnType<typeof openStore>>, AuditLog | Scope.Scope>

export class SecretStore extends Context.Service<SecretStore, LockableStore>()("agent-secrets/SecretStore") {
  /** The store in identity.age and secrets.age. `memory` outlives the layer, for a process that reopens the store. */
  static readonly layer = (
    paths: StorePaths,
    memory: StoreMemory = { last: undefined },
    openFiles: OpenFiles = openStore
  ) =>
    Layer.effect(
      SecretStore,
      Effect.gen(function* () {
        const lockFile = yield* openLockFile(paths.secrets)
        const audit = yield* AuditLog
        const open = Effect.gen(function* () {
          const files = yield* openFiles(paths, memory)
          yield* recordOrigin(files, paths)
          return yield* changeableStore(files)
        }).pipe(
          Effect.catchTag("AgeError", ({ reason }) => Effect.fail(unreadable(paths, reason))),
          Effect.provideService(AuditLog, audit)
        )
        const hashOnDisk = hashOfStore(paths)
        return yield* makeLockable({ lockFile, open, missing: () => missingStore(paths), hashOnDisk, memory })
      })
    )

  /** The store in memory only, for tests. */
  static readonly layerMemory = Layer.effect(
    SecretStore,
    Effect.gen(function* () {
      let document = emptyStore
      const opened = yield* changeableStore({
        document: () => document,
        hash: () => undefined,
        origin: "initialized",
        restoreMissing: Effect.succeed([]),
        decrypt: () => Effect.fail(new AgeError({ reason: "a store in memory has no key" })),
        derive: (purpose) => createHmac("sha256", "in memory").update(purpose).digest(),
        canOpen: Effect.succeed(true),
        prepare: (next) => Effect.succeed({ hash: undefined, write: Effect.sync(() => void (document = next)) })
      })
      return yield* makeLockable({
        lockFile: memoryLockFile(),
        open: Effect.succeed(opened),
        missing: () => undefined,
        hashOnDisk: Effect.succeed(undefined),
        memory: { last: undefined }
      })
    })
  )
}

/** Records whether the store was created or restored. */
const recordOrigin = Effect.fn("SecretStore.recordOrigin")(function* (
  { document, hash, origin }: StoreFiles,
  paths: StorePaths
) {
  if (origin === "loaded") return
  const audit = yield* AuditLog
  if (origin === "initialized") {
    return yield* Effect.ignore(audit.append([withStore(initFact("created a new key and an empty store"), hash())]))
  }
  const details = `the store files were missing; restored ${counted(document().secrets.size, "secret")} to ${paths.secrets} from memory, with the same key`
  yield* Effect.logWarning(details)
  yield* Effect.ignore(audit.append([withStore(fileRepairedFact(details), hash())]))
})
