/**
 * The changes of the store. Each is recorded in the audit log, then written, and only then visible. A failed write
 * changes nothing. `change` is the one place that writes.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { refusedFact } from "../../domain/factMakers.ts"
import {
  addFact,
  changeFailedFact,
  changeRefusedFact,
  changeUnpreparedFact,
  deleteFact,
  restoreFact,
  rotateFact,
  unchangedFact,
  updateFact,
  wipeFact,
  wipeFailedFact,
  withStore
} from "../../domain/storeFacts.ts"
import { SecretExists, SecretNotFound, secretSize, StoreFull, storeLimit } from "../../domain/Secret.ts"
import { fromMillis, type Timestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { FileError } from "../files/durableFile.ts"
import type { AgeError } from "./ageFile.ts"
import { FormerValues } from "./FormerValues.ts"
import type { StoreReplaced } from "./KnownFile.ts"
import { type MergeOptions, planMerge } from "./mergeStore.ts"
import { type NewSecret, type OpenedStore, type SecretChange, SecretStoreError } from "./OpenedStore.ts"
import { byName, encodeStore, type StoreDocument, type StoredSecret, textOf } from "./storeDocument.ts"
import type { StoreChange, StoreFiles } from "./storeFiles.ts"
import { watchStore } from "./watchStore.ts"

const refusalReasons = {
  SecretExists: "secret already exists",
  SecretNotFound: "secret not found",
  StoreFull: "the store is full"
} as const

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

/** Opens the store over its files. */
export const changeableStore = Effect.fn("SecretStore.make")(function* (files: StoreFiles) {
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
