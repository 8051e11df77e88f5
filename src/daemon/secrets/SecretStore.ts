/**
 * The secrets: in memory for reading, encrypted in secrets.age.
 *
 * A change is recorded in the audit log, then written, and only then visible. A failed
 * write changes nothing. `storeFiles` finds, creates, checks and writes the files; only it
 * holds the key. `change` is the one place that writes.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { createHmac } from "node:crypto"
import { counted } from "../../domain/counted.ts"
import {
  addFact,
  type AuditFact,
  changeFailedFact,
  changeUnpreparedFact,
  deleteFact,
  fileRepairedFact,
  initFact,
  refusedFact,
  restoreFact,
  rotateFact,
  changeRefusedFact,
  unchangedFact,
  updateFact,
  wipeFailedFact,
  wipeFact,
  withStore
} from "../../domain/AuditEntry.ts"
import {
  type Secret,
  SecretExists,
  type SecretInfo,
  SecretNotFound,
  secretSize,
  StoreFull,
  storeLimit
} from "../../domain/Secret.ts"
import { fromMillis, type Timestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { FormerValues } from "./FormerValues.ts"
import { AgeError } from "./ageFile.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { FileError } from "../files/durableFile.ts"
import { StoreReplaced } from "./KnownFile.ts"
import { type LockableStore, makeLockable } from "./lockableStore.ts"
import { memoryLockFile, openLockFile } from "./lockFile.ts"
import { watchStore } from "./watchStore.ts"
import { type MergeOptions, type MergeReport, planMerge } from "./mergeStore.ts"
import { byName, emptyStore, encodeStore, type StoreDocument, type StoredSecret, textOf } from "./storeDocument.ts"
import {
  hashOfStore,
  missingStore,
  openStore,
  unreadable,
  type StoreChange,
  type StoreFiles,
  type StoreMemory,
  type StorePaths
} from "./storeFiles.ts"

/** Writing the store failed; nothing was changed. */
export class SecretStoreError extends Schema.TaggedError<SecretStoreError>()("SecretStoreError", {
  cause: Schema.Union([FileError, AgeError])
}) {
  override get message() {
    return `failed to write secrets file: ${this.cause.message}`
  }
}

export interface NewSecret {
  readonly name: string
  readonly value: Redacted.Redacted
  readonly rotateVia: string
  readonly rotateStdout: boolean
  readonly description?: string
  readonly proxyOnly?: boolean
}

/** The members of a secret to change; the others stay. Without a value, its age stays too. */
export interface SecretChange {
  readonly value?: Redacted.Redacted
  readonly rotateVia?: string
  readonly rotateStdout?: boolean
  readonly description?: string
  /** Nothing takes it back: that would need the value again. */
  readonly proxyOnly?: true
}

export type ChangeError = SecretStoreError | StoreReplaced | AuditLogError

/** Opens the files of the store: `openStore`, or what puts others in their place. */
type OpenFiles = (
  ...given: Parameters<typeof openStore>
) => Effect.Effect<StoreFiles, Effect.Error<ReturnType<typeof openStore>>, AuditLog | Scope.Scope>

/** The store while it is in memory; `lockableStore` adds the lock. */
export interface OpenedStore {
  readonly get: (name: string) => Result.Result<Secret, SecretNotFound>
  /** Lists all secrets, in byte order of their names. */
  readonly list: Effect.Effect<ReadonlyArray<SecretInfo>>
  readonly names: Effect.Effect<ReadonlyArray<string>>
  readonly count: Effect.Effect<number>
  readonly add: (secret: NewSecret) => Effect.Effect<void, SecretExists | StoreFull | ChangeError>
  /** Adds all of them with one write, and updates those that exist or leaves them; returns their names. */
  readonly addMany: (
    secrets: ReadonlyArray<NewSecret>,
    mayUpdate: boolean
  ) => Effect.Effect<ReadonlyArray<string>, StoreFull | ChangeError>
  readonly update: (name: string, change: SecretChange) => Effect.Effect<void, SecretNotFound | StoreFull | ChangeError>
  /** Records a rotation, with the new value if there is one; returns its time. */
  readonly recordRotation: (
    name: string,
    outcome: string,
    value: Redacted.Redacted | undefined
  ) => Effect.Effect<Timestamp, SecretNotFound | StoreFull | ChangeError>
  readonly remove: (name: string) => Effect.Effect<void, SecretNotFound | ChangeError>
  /** The text of the store, with all values. */
  readonly text: Effect.Effect<string>
  /** Takes the secrets of a backup; changes nothing if some were changed after it, unless the options permit that. */
  readonly merge: (backup: StoreDocument, options: MergeOptions) => Effect.Effect<MergeReport, StoreFull | ChangeError>
  /** Removes every secret, the backup and the key, and makes a new key; returns the number of secrets. */
  readonly wipe: Effect.Effect<number, ChangeError>
  /** Compares the files with memory, writes again what is missing, and reports what another program has replaced. */
  readonly checkFiles: Effect.Effect<void>
  /** Why the next change would be rejected, as the last check of the files found; undefined if it would not. */
  readonly failure: Effect.Effect<string | undefined>
  /** Whether this start found a store or created one. */
  readonly origin: "loaded" | "initialized"
  /** Derives 32 bytes from the key of the store: the same ones for the same purpose. */
  readonly derive: (purpose: string) => Buffer
  /** The SHA-256 of secrets.age; undefined for a store in memory only. */
  readonly hash: Effect.Effect<string | undefined>
}

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
          return yield* make(files)
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
      const opened = yield* make({
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

const refusalReasons = {
  SecretExists: "secret already exists",
  SecretNotFound: "secret not found",
  StoreFull: "the store is full"
} as const

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

/**
 * Names the store in the last fact of a change alone: an entry before it would name a store that a crash may leave
 * unwritten.
 */
const lastWithStore = (facts: ReadonlyArray<AuditFact>, store: string | undefined): ReadonlyArray<AuditFact> =>
  facts.map((fact, at) => (at === facts.length - 1 ? withStore(fact, store) : fact))

const hasSameValue = (one: StoredSecret, other: StoredSecret): boolean =>
  Redacted.value(one.value) === Redacted.value(other.value)

/** Returns the fact of a secret that is added or gets a value. */
const changeFact = (next: StoredSecret, before: StoredSecret | undefined): AuditFact =>
  before === undefined ? addFact(next.name) : (hasSameValue(before, next) ? unchangedFact : updateFact)(next.name)

const newSecret = (secret: NewSecret, now: Timestamp): StoredSecret => ({
  description: "",
  ...secret,
  createdAt: now,
  updatedAt: now,
  lastRotated: zeroTimestamp,
  foreign: {}
})

/** How many secrets are encoded before other requests get a turn. */
const encodedPerStep = 200

/** Encodes many secrets ahead of a change, which cannot be interrupted. */
const encodeInSteps = Effect.fnUntraced(function* (secrets: ReadonlyArray<StoredSecret>) {
  for (let at = 0; at < secrets.length; at += encodedPerStep) {
    for (const secret of secrets.slice(at, at + encodedPerStep)) textOf(secret)
    yield* Effect.yieldNow
  }
})

const toStoreError = (error: FileError | AgeError | StoreReplaced): SecretStoreError | StoreReplaced =>
  error._tag === "StoreReplaced" ? error : new SecretStoreError({ cause: error })

const make = Effect.fn("SecretStore.make")(function* (files: StoreFiles) {
  const { document } = files
  const audit = yield* AuditLog
  const writeLock = yield* Semaphore.make(1)
  const watched = watchStore(files, audit)
  const former = new FormerValues()
  yield* watched.recordHash

  const find = (name: string): Result.Result<StoredSecret, SecretNotFound> => {
    const found = document().secrets.get(name)
    return found === undefined ? Result.fail(new SecretNotFound({ name })) : Result.succeed(found)
  }

  /** Rejects a change that makes the store too large; a change that shrinks it always passes. */
  const checkSize = (facts: ReadonlyArray<AuditFact>, next: ReadonlyArray<StoredSecret>) => {
    const { secrets } = document()
    const sizeBefore = (name: string) => {
      const before = secrets.get(name)
      return before === undefined ? 0 : secretSize(before)
    }
    const grows = next.reduce((sum, after) => sum + secretSize(after) - sizeBefore(after.name), 0)
    const size = () => secrets.values().reduce((sum, secret) => sum + secretSize(secret), grows)
    return grows > 0 && size() > storeLimit ? reject(facts, new StoreFull()) : Effect.void
  }

  /**
   * Writes a change of the document that it was made from, with an entry for each fact; `refused` are entries of the
   * same request that change nothing.
   */
  const change = Effect.fn("SecretStore.change")(function* (
    from: StoreDocument,
    facts: ReadonlyArray<AuditFact>,
    kind: StoreChange,
    edit: (secrets: Map<string, StoredSecret>) => void,
    refused: ReadonlyArray<AuditFact> = []
  ) {
    yield* Effect.tapError(Effect.mapError(watched.check, toStoreError), ({ _tag }) =>
      Effect.ignore(audit.append(facts.map(_tag === "StoreReplaced" ? changeRefusedFact : changeFailedFact)))
    )
    const before = from.secrets
    const secrets = new Map(before)
    edit(secrets)
    const marked = facts.map((fact) => former.mark(fact, secrets.get(fact.secret_name ?? "")?.value))
    const next = { ...from, secrets }
    const recordFailures = (failure: (fact: AuditFact) => AuditFact) =>
      Effect.ignore(audit.append(lastWithStore(facts.map(failure), files.hash())))
    const failed = Effect.suspend(() => recordFailures(document() === next ? wipeFailedFact : changeFailedFact))
    // Encrypted before it is recorded, because the entry names the store by its hash.
    const prepared = yield* files.prepare(next, kind, from).pipe(
      Effect.mapError(toStoreError),
      Effect.tapError(() => recordFailures(changeUnpreparedFact))
    )
    yield* audit.append([...refused, ...lastWithStore(marked, prepared.hash)])
    yield* prepared.write.pipe(
      Effect.mapError(toStoreError),
      Effect.onExit(() => watched.recordHash),
      Effect.tapError(() => failed)
    )
    for (const name of kind === "wipe" ? before.keys() : facts.flatMap(({ secret_name }) => secret_name ?? [])) {
      const [old, now] = [before.get(name), secrets.get(name)]
      if (old !== undefined && (now === undefined || !hasSameValue(old, now))) former.add(name, old.value)
    }
  }, Effect.uninterruptible)

  /** Records rejected changes, if possible, and fails with the reason. */
  const reject = <E extends SecretExists | SecretNotFound | StoreFull>(facts: ReadonlyArray<AuditFact>, reason: E) => {
    const refused = facts.map((fact) => refusedFact(fact, refusalReasons[reason._tag]))
    return Effect.andThen(Effect.ignore(audit.append(refused)), Effect.fail(reason))
  }

  const add = Effect.fn("SecretStore.add")(function* (secret: NewSecret) {
    const { name } = secret
    const from = document()
    if (from.secrets.has(name)) return yield* reject([addFact(name)], new SecretExists({ name }))
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const added = newSecret(secret, now)
    yield* checkSize([addFact(name)], [added])
    yield* change(from, [addFact(name)], "update", (secrets) => secrets.set(name, added))
  }, Semaphore.withPermit(writeLock))

  const addMany = Effect.fn("SecretStore.addMany")(function* (given: ReadonlyArray<NewSecret>, mayUpdate: boolean) {
    const from = document()
    const before = from.secrets
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const existing = given.filter(({ name }) => before.has(name)).map(({ name }) => name)
    const written = mayUpdate ? given : given.filter(({ name }) => !before.has(name))
    const next = written.map((secret): StoredSecret => {
      const found = before.get(secret.name)
      if (found !== undefined) return { ...found, value: secret.value, updatedAt: now }
      return newSecret(secret, now)
    })
    const facts = next.map((secret) => changeFact(secret, before.get(secret.name)))
    const refused = mayUpdate ? [] : existing.map((name) => refusedFact(addFact(name), refusalReasons.SecretExists))
    if (next.length === 0) {
      yield* Effect.ignore(audit.append(refused))
      return existing
    }
    yield* checkSize(facts, next)
    yield* encodeInSteps(next)
    yield* change(
      from,
      facts,
      "update",
      (secrets) => next.forEach((secret) => secrets.set(secret.name, secret)),
      refused
    )
    return existing
  }, Semaphore.withPermit(writeLock))

  /** `factOf` gets whether the value stays as it is. */
  const edit = Effect.fn("SecretStore.edit")(function* (
    name: string,
    factOf: (isSame: boolean) => AuditFact,
    changes: Partial<StoredSecret>
  ) {
    const from = document()
    const found = yield* Effect.fromResult(find(name)).pipe(Effect.catch((reason) => reject([factOf(false)], reason)))
    const next = { ...found, ...changes }
    const fact = factOf(hasSameValue(found, next))
    yield* checkSize([fact], [next])
    yield* change(from, [fact], "update", (secrets) => secrets.set(name, next))
  })

  const update = Effect.fn("SecretStore.update")(function* (name: string, changes: SecretChange) {
    const keepsValue = changes.value === undefined
    const age = keepsValue ? {} : { updatedAt: fromMillis(yield* Clock.currentTimeMillis) }
    const factOf = (isSame: boolean) => (isSame && !keepsValue ? unchangedFact(name) : updateFact(name, keepsValue))
    yield* edit(name, factOf, { ...age, ...changes })
  }, Semaphore.withPermit(writeLock))

  const recordRotation = Effect.fn("SecretStore.recordRotation")(function* (
    name: string,
    outcome: string,
    value: Redacted.Redacted | undefined
  ) {
    const lastRotated = fromMillis(yield* Clock.currentTimeMillis)
    const changes = { lastRotated, updatedAt: lastRotated, ...(value === undefined ? {} : { value }) }
    const factOf = (isSame: boolean) =>
      rotateFact(name, outcome, value === undefined ? false : isSame ? "unchanged" : true)
    yield* edit(name, factOf, changes)
    return lastRotated
  }, Semaphore.withPermit(writeLock))

  const wipe = Effect.gen(function* () {
    const from = document()
    const count = from.secrets.size
    yield* change(from, [wipeFact(count)], "wipe", (secrets) => secrets.clear())
    return count
  }).pipe(Semaphore.withPermit(writeLock))

  const merge = Effect.fn("SecretStore.merge")(function* (backup: StoreDocument, options: MergeOptions) {
    const from = document()
    const { writes, ...report } = planMerge(from, backup, options)
    const [added, updated, newer] = [report.added.length, report.updated.length, report.newer.length]
    const fact = restoreFact({ added, updated, newer }, options.dryRun)
    // The report tells which values of the backup are those of the store, so it is recorded before.
    if (options.dryRun || (report.restored && writes.length === 0)) {
      yield* audit.append([fact])
      return report
    }
    if (!report.restored) {
      yield* Effect.ignore(audit.append([refusedFact(fact, "some secrets were changed after the backup")]))
      return report
    }
    const before = from.secrets
    const isAdded = (secret: StoredSecret) => !before.has(secret.name)
    const ordered = [...writes.filter(isAdded), ...writes.filter((secret) => !isAdded(secret))]
    const facts = [...ordered.map((secret) => changeFact(secret, before.get(secret.name))), fact]
    yield* checkSize(facts, writes)
    yield* encodeInSteps(writes)
    yield* change(from, facts, "update", (secrets) => writes.forEach((secret) => secrets.set(secret.name, secret)))
    return report
  }, Semaphore.withPermit(writeLock))

  const remove = Effect.fn("SecretStore.remove")(function* (name: string) {
    const from = document()
    yield* Effect.fromResult(find(name)).pipe(Effect.catch((reason) => reject([deleteFact(name)], reason)))
    yield* change(from, [deleteFact(name)], "delete", (secrets) => secrets.delete(name))
  }, Semaphore.withPermit(writeLock))

  const store: OpenedStore = {
    get: find,
    list: Effect.sync(() => [...document().secrets.values()].toSorted(byName)),
    names: Effect.sync(() => [...document().secrets.keys()]),
    count: Effect.sync(() => document().secrets.size),
    add,
    addMany,
    update,
    recordRotation,
    remove,
    text: Effect.sync(() => encodeStore(document())),
    merge,
    wipe,
    checkFiles: Effect.ignore(Semaphore.withPermit(writeLock)(watched.check)),
    failure: Effect.sync(watched.failure),
    origin: files.origin === "restored" ? "loaded" : files.origin,
    derive: files.derive,
    hash: Effect.sync(files.hash)
  }
  return store
})
