/**
 * The secrets: in memory for reading, encrypted in secrets.age.
 *
 * A change is announced in the audit log, then written, and only then seen; what
 * could not be written did not happen. How the files are found, made and written is
 * in `storeFiles`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import {
  changeFailedFact,
  fileRepairedFact,
  refusedFact,
  addFact,
  deleteFact,
  rotateFact,
  updateFact,
  initFact,
  wipeFact
} from "../../domain/AuditEntry.ts"
import type { Secret, SecretInfo } from "../../domain/Secret.ts"
import { SecretExists, SecretNotFound, secretSize, StoreFull, storeLimit } from "../../domain/Secret.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { fromMillis, zeroTimestamp } from "../../domain/Timestamp.ts"
import { AgeError } from "./ageFile.ts"
import type { AuditLogError } from "../audit/AuditLog.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { FileError } from "../files/durableFile.ts"
import type { StoreDocument, StoredSecret } from "./storeDocument.ts"
import { byName, emptyStore } from "./storeDocument.ts"
import type { StoreMemory, StorePaths } from "./storeFiles.ts"
import { openStore } from "./storeFiles.ts"

/** A change of the store could not be written; nothing was changed. */
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
}

/** What changes of a secret; what is not given stays. */
export interface SecretChange {
  readonly value?: Redacted.Redacted
  readonly rotateVia?: string
  readonly rotateStdout?: boolean
}

type ChangeError = SecretStoreError | AuditLogError

export class SecretStore extends Context.Service<
  SecretStore,
  {
    readonly get: (name: string) => Result.Result<Secret, SecretNotFound>
    /** In the byte order of the names. */
    readonly list: Effect.Effect<ReadonlyArray<SecretInfo>>
    readonly count: Effect.Effect<number>
    readonly add: (secret: NewSecret) => Effect.Effect<void, SecretExists | StoreFull | ChangeError>
    readonly update: (
      name: string,
      change: SecretChange
    ) => Effect.Effect<void, SecretNotFound | StoreFull | ChangeError>
    /** Records a rotation, with the new value if there is one; gives the moment it counts from. */
    readonly recordRotation: (
      name: string,
      outcome: string,
      value: Redacted.Redacted | undefined
    ) => Effect.Effect<Timestamp, SecretNotFound | StoreFull | ChangeError>
    readonly remove: (name: string) => Effect.Effect<void, SecretNotFound | ChangeError>
    /** Removes every secret and the backup; gives how many there were. */
    readonly wipe: Effect.Effect<number, ChangeError>
    /** Whether this start found a store or made one. */
    readonly origin: "loaded" | "initialized"
  }
>()("agent-secrets/SecretStore") {
  /** The store in identity.age and secrets.age. `memory` is for a process that may have to open it again. */
  static readonly layer = (paths: StorePaths, memory: StoreMemory = { last: undefined }) =>
    Layer.effect(
      SecretStore,
      Effect.gen(function* () {
        const { document, forgetBackup, origin, save } = yield* openStore(paths, memory)
        yield* tellOf(origin, paths, document.secrets.size)
        const seen = origin === "rescued" ? "loaded" : origin
        return yield* make(document, seen, (next) => written(save(next)), written(forgetBackup))
      })
    )

  /** The store in memory alone, for tests. */
  static readonly layerMemory = Layer.effect(
    SecretStore,
    Effect.suspend(() => make(emptyStore, "initialized", () => Effect.void, Effect.void))
  )
}

const because = {
  SecretExists: "secret already exists",
  SecretNotFound: "secret not found",
  StoreFull: "the store is full"
} as const

/** Records what an opening did to the files. */
const tellOf = Effect.fnUntraced(function* (
  origin: "loaded" | "initialized" | "rescued",
  paths: StorePaths,
  count: number
) {
  if (origin === "loaded") return
  const audit = yield* AuditLog
  if (origin === "initialized") {
    return yield* Effect.ignore(audit.append([initFact("a new key and an empty store were made")]))
  }
  const details = `the store was gone; its ${count} secrets were written to ${paths.secrets} from memory, with the same key`
  yield* Effect.logWarning(details)
  yield* Effect.ignore(audit.append([fileRepairedFact(details)]))
})

const written = (change: Effect.Effect<void, FileError | AgeError>): Effect.Effect<void, SecretStoreError> =>
  Effect.mapError(change, (cause) => new SecretStoreError({ cause }))

const make = Effect.fnUntraced(function* (
  loaded: StoreDocument,
  origin: "loaded" | "initialized",
  save: (next: StoreDocument) => Effect.Effect<void, SecretStoreError>,
  forgetBackup: Effect.Effect<void, SecretStoreError>
) {
  const audit = yield* AuditLog
  const one = yield* Semaphore.make(1)
  let document = loaded

  const find = (name: string): Result.Result<StoredSecret, SecretNotFound> => {
    const found = document.secrets.get(name)
    return found === undefined ? Result.fail(new SecretNotFound({ name })) : Result.succeed(found)
  }

  /** Refuses what would make the store too long; what makes it shorter is never refused. */
  const fits = (fact: AuditFact, before: StoredSecret | undefined, after: StoredSecret) => {
    const grows = secretSize(after) - (before === undefined ? 0 : secretSize(before))
    const size = () => document.secrets.values().reduce((sum, secret) => sum + secretSize(secret), grows)
    return grows > 0 && size() > storeLimit ? refuse(fact, new StoreFull()) : Effect.void
  }

  const change = Effect.fnUntraced(function* (fact: AuditFact, edit: (secrets: Map<string, StoredSecret>) => void) {
    const secrets = new Map(document.secrets)
    edit(secrets)
    const next = { ...document, secrets }
    yield* audit.append([fact])
    yield* Effect.tapError(save(next), () => Effect.ignore(audit.append([changeFailedFact(fact)])))
    document = next
  }, Effect.uninterruptible)

  /** Records that something was not done. That it was not stands, whether or not it can be recorded. */
  const refuse = <E extends SecretExists | SecretNotFound | StoreFull>(asked: AuditFact, reason: E) =>
    Effect.andThen(Effect.ignore(audit.append([refusedFact(asked, because[reason._tag])])), Effect.fail(reason))

  const add = Effect.fn("SecretStore.add")(function* (secret: NewSecret) {
    const { name } = secret
    if (document.secrets.has(name)) return yield* refuse(addFact(name), new SecretExists({ name }))
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const added = { ...secret, createdAt: now, updatedAt: now, lastRotated: zeroTimestamp, foreign: {} }
    yield* fits(addFact(name), undefined, added)
    yield* change(addFact(name), (secrets) => secrets.set(name, added))
  }, Semaphore.withPermit(one))

  const edit = Effect.fnUntraced(function* (name: string, fact: AuditFact, changes: Partial<StoredSecret>) {
    const found = yield* Effect.fromResult(find(name)).pipe(Effect.catch((reason) => refuse(fact, reason)))
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const next = { ...found, updatedAt: now, ...changes }
    yield* fits(fact, found, next)
    yield* change(fact, (secrets) => secrets.set(name, next))
    return now
  })

  const update = Effect.fn("SecretStore.update")(function* (name: string, changes: SecretChange) {
    yield* edit(name, updateFact(name), changes)
  }, Semaphore.withPermit(one))

  const recordRotation = Effect.fn("SecretStore.recordRotation")(function* (
    name: string,
    outcome: string,
    value: Redacted.Redacted | undefined
  ) {
    const lastRotated = fromMillis(yield* Clock.currentTimeMillis)
    const changes = { lastRotated, updatedAt: lastRotated, ...(value === undefined ? {} : { value }) }
    return yield* edit(name, rotateFact(name, outcome), changes)
  }, Semaphore.withPermit(one))

  const wipe = Effect.gen(function* () {
    const count = document.secrets.size
    yield* change(wipeFact(count), (secrets) => secrets.clear())
    yield* forgetBackup
    return count
  }).pipe(Semaphore.withPermit(one))

  const remove = Effect.fn("SecretStore.remove")(function* (name: string) {
    yield* Effect.fromResult(find(name)).pipe(Effect.catch((reason) => refuse(deleteFact(name), reason)))
    yield* change(deleteFact(name), (secrets) => secrets.delete(name))
  }, Semaphore.withPermit(one))

  return SecretStore.of({
    get: find,
    list: Effect.sync(() => [...document.secrets.values()].toSorted(byName)),
    count: Effect.sync(() => document.secrets.size),
    add,
    update,
    recordRotation,
    remove,
    wipe,
    origin
  })
})
