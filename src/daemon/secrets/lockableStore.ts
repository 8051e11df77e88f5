/**
 * A store that can be locked: then it gives nothing, takes nothing and is not in memory.
 *
 * A lock takes effect before anything is written, so that a full disk does not prevent it: the
 * one change before its audit entry. It lasts until `unlock` has read the key and the store from
 * the disk again. A rotation whose command runs already may store its value; then the key goes.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { refusedFact } from "../../domain/factMakers.ts"
import { addFact, deleteFact, restoreFact, rotateFact, unlockFact, updateFact } from "../../domain/storeFacts.ts"
import { type Secret, type SecretInfo, SecretNotFound, StoreLocked } from "../../domain/Secret.ts"
import { fromMillis, type Timestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditLogError } from "../audit/AuditLogError.ts"
import { FileError } from "../files/durableFile.ts"
import type { LockFile, LockState } from "./lockFile.ts"
import type { ChangeError, NewSecret, OpenedStore, SecretChange } from "./OpenedStore.ts"
import type { MergeReport } from "./mergeStore.ts"
import { type StoreMemory, StoreUnreadable } from "./storeFiles.ts"

type Failure<Name extends keyof OpenedStore> = OpenedStore[Name] extends (
  ...given: never
) => Effect.Effect<unknown, infer E>
  ? E | StoreLocked
  : never

export interface LockResult {
  readonly since: string
  /** Whether it was locked before. */
  readonly already: boolean
  /** Whether a rotation command runs, after which the key goes. */
  readonly rotating: boolean
}

export interface LockableStore extends Pick<OpenedStore, "count" | "checkFiles" | "failure" | "hash"> {
  readonly get: (name: string) => Result.Result<Secret, SecretNotFound | StoreLocked>
  /** Lists all secrets, in byte order of their names. */
  readonly list: Effect.Effect<ReadonlyArray<SecretInfo>, StoreLocked>
  /** The names of all secrets in no order; none of a locked store. */
  readonly names: Effect.Effect<ReadonlyArray<string>>
  readonly add: (secret: NewSecret) => Effect.Effect<void, Failure<"add">>
  /** Adds all of them with one write, and updates those that exist or leaves them; returns their names. */
  readonly addMany: (
    ...given: Parameters<OpenedStore["addMany"]>
  ) => Effect.Effect<ReadonlyArray<string>, Failure<"addMany">>
  readonly update: (name: string, change: SecretChange) => Effect.Effect<void, Failure<"update">>
  readonly recordRotation: (
    ...given: Parameters<OpenedStore["recordRotation"]>
  ) => Effect.Effect<Timestamp, Failure<"recordRotation">>
  readonly remove: (name: string) => Effect.Effect<void, Failure<"remove">>
  readonly text: Effect.Effect<string, StoreLocked>
  readonly merge: (...given: Parameters<OpenedStore["merge"]>) => Effect.Effect<MergeReport, Failure<"merge">>
  /** Removes every secret, the backup and the key, and makes a new key. A locked store is wiped too, and stays locked. */
  readonly wipe: Effect.Effect<number, ChangeError | OpenError>
  /** Derives 32 bytes from the key of the store: the same ones for the same purpose. */
  readonly derive: (purpose: string) => Result.Result<Buffer, StoreLocked>
  readonly origin: OpenedStore["origin"] | "locked"
  /** When the store was locked; undefined if it is not. */
  readonly lockedSince: () => string | undefined
  /** Locks the store and writes that down; `record` writes the audit entry. If either fails, it is locked until a restart. */
  readonly lock: (record: Effect.Effect<void, AuditLogError>) => Effect.Effect<LockResult, LockNotKept>
  /** Reads the store again; returns since when it was locked. */
  readonly unlock: Effect.Effect<string | undefined, OpenError | FileError | AuditLogError>
  /** Runs a rotation command: fails if the store is locked, and keeps it in memory while the command runs. */
  readonly whileOpen: <A, E, R>(command: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreLocked, R>
}

type OpenError = StoreUnreadable | FileError

export interface LockableOptions<E extends OpenError> {
  readonly lockFile: LockFile
  /** Opens the store for as long as the scope lasts. */
  readonly open: Effect.Effect<OpenedStore, E, Scope.Scope>
  /** Returns why the store on disk must not be opened: it would be created. */
  readonly missing: () => StoreUnreadable | undefined
  /** The SHA-256 of the store on disk, for a start that does not read it. */
  readonly hashOnDisk: Effect.Effect<string | undefined>
  readonly memory: StoreMemory
}

export const makeLockable = Effect.fn("makeLockable")(function* <E extends OpenError>(options: LockableOptions<E>) {
  const { lockFile, memory } = options
  const audit = yield* AuditLog
  const layerScope = yield* Effect.scope
  /** Changes, locking and unlocking, one at a time. */
  const gate = Semaphore.withPermit(yield* Semaphore.make(1))
  const open = Effect.gen(function* () {
    const scope = yield* Scope.fork(layerScope)
    const store = yield* Scope.provide(options.open, scope).pipe(Effect.onError(() => Scope.close(scope, Exit.void)))
    return { store, close: Scope.close(scope, Exit.void) }
  })

  const stored = lockFile.read() ?? memory.locked
  // Another program has removed the file. Where the store is missing too, there is nothing to keep locked.
  const sinceByLog = stored === undefined && options.missing() === undefined ? audit.lockedSince : undefined
  let locked: LockState | undefined = sinceByLog === undefined ? stored : { since: sinceByLog, secretCount: 0 }
  let opened: Effect.Success<typeof open> | undefined
  let lastHash: string | undefined
  let commands = 0

  const setLocked = (next: LockState | undefined) => {
    locked = next
    memory.locked = next
  }
  /** Forgets the key and the values. */
  const drop = Effect.suspend(() => {
    const { close } = opened ?? { close: Effect.void }
    opened = undefined
    memory.last = undefined
    return close
  })
  const dropIfUnused = Effect.suspend(() => (locked !== undefined && commands === 0 ? drop : Effect.void))

  if (locked === undefined) opened = yield* open
  else {
    setLocked(locked)
    yield* drop
    if (sinceByLog !== undefined) yield* audit.report([lockFileRemoved])
    if (lockFile.read() === undefined) {
      const written = lockFile.write(locked)
      yield* Effect.catchTag(written, "FileError", (cause) => Effect.logError(new LockNotKept({ cause }).message))
    }
    lastHash = yield* options.hashOnDisk
    yield* audit.recordStore(lastHash)
  }

  const available = () => (locked === undefined ? opened?.store : undefined)

  const change = <A, E2>(
    refused: AuditFact | ReadonlyArray<AuditFact>,
    use: (store: OpenedStore) => Effect.Effect<A, E2>,
    store: () => OpenedStore | undefined = available
  ): Effect.Effect<A, E2 | StoreLocked> =>
    gate(
      Effect.suspend((): Effect.Effect<A, E2 | StoreLocked> => {
        const found = store()
        if (found !== undefined) return use(found)
        const facts = [refused].flat().map((fact) => refusedFact(fact, lockedReason))
        return Effect.andThen(Effect.ignore(audit.append(facts)), Effect.fail(new StoreLocked()))
      })
    )

  const lock = Effect.fn("SecretStore.lock")(function* (record: Effect.Effect<void, AuditLogError>) {
    const before = locked
    const since = fromMillis(yield* Clock.currentTimeMillis).text
    const close = Effect.gen(function* () {
      const state = locked ?? { since, secretCount: yield* opened?.store.count ?? Effect.succeed(0) }
      setLocked(state)
      return state
    })
    // At once, and again if it was unlocked while this waited.
    yield* close
    return yield* gate(
      Effect.gen(function* () {
        const state = yield* close
        const kept = yield* Effect.result(lockFile.read() === undefined ? lockFile.write(state) : Effect.void)
        const recorded = yield* Effect.result(record)
        lastHash = yield* opened?.store.hash ?? Effect.succeed(lastHash)
        yield* dropIfUnused
        if (Result.isFailure(kept)) return yield* new LockNotKept({ cause: kept.failure })
        if (Result.isFailure(recorded)) return yield* new LockNotKept({ cause: recorded.failure })
        return { since: state.since, already: before !== undefined, rotating: opened !== undefined }
      })
    )
  }, Effect.uninterruptible)

  const unlock = Effect.gen(function* () {
    if (locked === undefined) return undefined
    const { since } = locked
    const failed = Effect.ignore(audit.append([refusedFact(unlockFact, "the store could not be opened")]))
    const reject = Effect.andThen(failed, dropIfUnused)
    const missing = options.missing()
    if (missing !== undefined) return yield* Effect.andThen(reject, missing)
    opened ??= yield* Effect.tapError(open, () => reject)
    yield* Effect.tapError(Effect.andThen(audit.append([unlockFact]), lockFile.remove), () => reject)
    setLocked(undefined)
    return since
  }).pipe(gate, Effect.uninterruptible)

  const wipe = gate(
    Effect.suspend((): Effect.Effect<number, ChangeError | OpenError> => {
      if (opened !== undefined) return opened.store.wipe
      const missing = options.missing()
      if (missing !== undefined) return Effect.fail(missing)
      return Effect.gen(function* () {
        const { close, store } = yield* open
        const count = yield* Effect.ensuring(store.wipe, Effect.andThen(close, drop))
        const state = { since: locked?.since ?? "", secretCount: 0 }
        setLocked(state)
        yield* Effect.ignore(lockFile.write(state))
        lastHash = yield* store.hash
        return count
      }).pipe(Effect.uninterruptible)
    })
  )

  const store: LockableStore = {
    get: (name) => available()?.get(name) ?? Result.fail(new StoreLocked()),
    list: Effect.suspend(() => available()?.list ?? Effect.fail(new StoreLocked())),
    names: Effect.suspend(() => available()?.names ?? Effect.succeed([])),
    count: Effect.suspend(() => available()?.count ?? Effect.succeed(locked?.secretCount ?? 0)),
    add: (secret) => change(addFact(secret.name), (found) => found.add(secret)),
    addMany: (given, mayUpdate) =>
      change(
        given.map(({ name }) => addFact(name)),
        (found) => found.addMany(given, mayUpdate)
      ),
    update: (name, changes) =>
      change(updateFact(name, changes.value === undefined), (found) => found.update(name, changes)),
    remove: (name) => change(deleteFact(name), (found) => found.remove(name)),
    recordRotation: (name, outcome, value) =>
      change(
        rotateFact(name, outcome),
        (found) => found.recordRotation(name, outcome, value),
        () => opened?.store
      ),
    text: Effect.suspend(() => available()?.text ?? Effect.fail(new StoreLocked())),
    merge: (backup, options) =>
      change(restoreFact({ added: 0, updated: 0, newer: 0 }, options.dryRun), (found) => found.merge(backup, options)),
    wipe,
    checkFiles: Effect.suspend(() => available()?.checkFiles ?? Effect.void),
    failure: Effect.suspend(() => available()?.failure ?? Effect.succeed(undefined)),
    hash: Effect.suspend(() => opened?.store.hash ?? Effect.succeed(lastHash)),
    get origin() {
      return available()?.origin ?? "locked"
    },
    derive: (purpose) => {
      const bytes = available()?.derive(purpose)
      return bytes === undefined ? Result.fail(new StoreLocked()) : Result.succeed(bytes)
    },
    lockedSince: () => locked?.since,
    lock,
    unlock,
    whileOpen: (command) =>
      Effect.acquireUseRelease(
        Effect.suspend(() => {
          if (available() === undefined) return Effect.fail(new StoreLocked())
          commands += 1
          return Effect.void
        }),
        () => command,
        () =>
          Effect.suspend(() => {
            commands -= 1
            return locked === undefined ? Effect.void : gate(dropIfUnused)
          })
      )
  }
  return store
})

export const lockedReason = "the store is locked"
const lockFileRemoved = "secrets.age.locked was removed while no daemon ran; the store stays locked"

/** The store is locked, and a restart would forget it or the audit log does not have it. */
export class LockNotKept extends Data.TaggedError("LockNotKept")<{
  readonly cause: FileError | AuditLogError
}> {
  override get message() {
    return `the store is locked, but only until the daemon restarts: ${this.cause.cause instanceof FileError ? this.cause.cause.message : this.cause.message}`
  }
}
