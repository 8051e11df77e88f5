/**
 * The secrets: in memory for reading, encrypted in secrets.age.
 *
 * A change is announced in the audit log, then written, and only then seen; what
 * could not be written did not happen. A store is created only where neither
 * file is there; one that cannot be read stops the start and is not touched. The
 * store before the last change stays beside it as secrets.age.bak.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { AuditFact } from "../domain/AuditEntry.ts"
import {
  changeFailed,
  secretAdded,
  secretDeleted,
  secretRotated,
  secretUpdated,
  storeWiped
} from "../domain/AuditEntry.ts"
import type { Secret, SecretInfo } from "../domain/Secret.ts"
import { SecretExists, SecretNotFound } from "../domain/Secret.ts"
import type { Timestamp } from "../domain/Timestamp.ts"
import { fromMillis, zero } from "../domain/Timestamp.ts"
import type { AgeError, AgeKey } from "./ageFile.ts"
import * as ageFile from "./ageFile.ts"
import type { AuditLogError } from "./AuditLog.ts"
import { AuditLog } from "./AuditLog.ts"
import { type FileFault, readIfPresent, removeDurably, renameDurably, replaceFile, tightenMode } from "./durableFile.ts"
import type { StoreDocument, StoredSecret } from "./storeDocument.ts"
import { byName, decode, empty, encode } from "./storeDocument.ts"

/** A change of the store could not be written; nothing was changed. */
export class SecretStoreError extends Data.TaggedError("SecretStoreError")<{
  readonly operation: "write"
  readonly cause: FileFault | AgeError
}> {
  override get message() {
    return `failed to write secrets file: ${this.cause.message}`
  }
}

/** The store cannot be read, and was left as it is. `path` is the file that is at fault. */
export class StoreUnreadable extends Data.TaggedError("StoreUnreadable")<{
  readonly path: string
  readonly reason: string
  /** What the person can do. */
  readonly fix: string
}> {
  override get message() {
    return `cannot read ${this.path}: ${this.reason}`
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
    readonly get: (name: string) => Effect.Effect<Secret, SecretNotFound>
    /** In the byte order of the names. */
    readonly list: Effect.Effect<ReadonlyArray<SecretInfo>>
    readonly count: Effect.Effect<number>
    readonly add: (secret: NewSecret) => Effect.Effect<void, SecretExists | ChangeError>
    readonly update: (name: string, change: SecretChange) => Effect.Effect<void, SecretNotFound | ChangeError>
    /** Records a rotation, with the new value if there is one; gives the moment it counts from. */
    readonly rotated: (
      name: string,
      outcome: string,
      value: Redacted.Redacted | undefined
    ) => Effect.Effect<Timestamp, SecretNotFound | ChangeError>
    readonly remove: (name: string) => Effect.Effect<void, SecretNotFound | ChangeError>
    /** Removes every secret and the backup; gives how many there were. */
    readonly wipe: Effect.Effect<number, ChangeError>
    /** Whether this start found a store or made one. */
    readonly origin: "loaded" | "initialized"
  }
>()("agent-secrets/SecretStore") {
  /** The store in identity.age and secrets.age. */
  static readonly layer = (paths: StorePaths) =>
    Layer.effect(
      SecretStore,
      Effect.gen(function* () {
        yield* finishCreation(paths)
        const { key, document, origin } = yield* open(paths)
        const save = (next: StoreDocument) =>
          encryptChecked(key, next).pipe(
            Effect.flatMap((file) => replaceFile(paths.secrets, [file], { backup: `${paths.secrets}.bak` })),
            Effect.mapError((cause) => new SecretStoreError({ operation: "write", cause }))
          )
        const forget = Effect.mapError(
          removeDurably(`${paths.secrets}.bak`),
          (cause) => new SecretStoreError({ operation: "write", cause })
        )
        return yield* make(document, origin, save, forget)
      })
    )

  /** The store in memory alone, for tests. */
  static readonly layerMemory = Layer.effect(
    SecretStore,
    Effect.suspend(() => make(empty, "initialized", () => Effect.void, Effect.void))
  )
}

export interface StorePaths {
  readonly identity: string
  readonly secrets: string
}

const make = Effect.fnUntraced(function* (
  loaded: StoreDocument,
  origin: "loaded" | "initialized",
  save: (next: StoreDocument) => Effect.Effect<void, SecretStoreError>,
  forgetBackup: Effect.Effect<void, SecretStoreError>
) {
  const audit = yield* AuditLog
  const one = yield* Semaphore.make(1)
  let document = loaded

  const find = (name: string): Effect.Effect<StoredSecret, SecretNotFound> =>
    Effect.suspend(() => {
      const found = document.secrets.get(name)
      return found === undefined ? Effect.fail(new SecretNotFound({ name })) : Effect.succeed(found)
    })

  const change = Effect.fnUntraced(function* (fact: AuditFact, edit: (secrets: Map<string, StoredSecret>) => void) {
    const secrets = new Map(document.secrets)
    edit(secrets)
    const next = { ...document, secrets }
    yield* audit.append([fact])
    yield* Effect.tapError(save(next), () => Effect.ignore(audit.append([changeFailed(fact)])))
    document = next
  }, Effect.uninterruptible)

  const add = Effect.fn("SecretStore.add")(function* (secret: NewSecret) {
    if (document.secrets.has(secret.name)) return yield* new SecretExists({ name: secret.name })
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const added = { ...secret, createdAt: now, updatedAt: now, lastRotated: zero, foreign: {} }
    yield* change(secretAdded(secret.name), (secrets) => secrets.set(secret.name, added))
  }, Semaphore.withPermit(one))

  const edit = Effect.fnUntraced(function* (name: string, fact: AuditFact, changes: Partial<StoredSecret>) {
    const found = yield* find(name)
    const now = fromMillis(yield* Clock.currentTimeMillis)
    const next = { ...found, updatedAt: now, ...changes }
    yield* change(fact, (secrets) => secrets.set(name, next))
    return now
  })

  const update = Effect.fn("SecretStore.update")(function* (name: string, changes: SecretChange) {
    yield* edit(name, secretUpdated(name), changes)
  }, Semaphore.withPermit(one))

  const rotated = Effect.fn("SecretStore.rotated")(function* (
    name: string,
    outcome: string,
    value: Redacted.Redacted | undefined
  ) {
    const lastRotated = fromMillis(yield* Clock.currentTimeMillis)
    const changes = { lastRotated, updatedAt: lastRotated, ...(value === undefined ? {} : { value }) }
    return yield* edit(name, secretRotated(name, outcome), changes)
  }, Semaphore.withPermit(one))

  const wipe = Effect.gen(function* () {
    const count = document.secrets.size
    yield* change(storeWiped(count), (secrets) => secrets.clear())
    yield* forgetBackup
    return count
  }).pipe(Semaphore.withPermit(one))

  const remove = Effect.fn("SecretStore.remove")(function* (name: string) {
    yield* find(name)
    yield* change(secretDeleted(name), (secrets) => secrets.delete(name))
  }, Semaphore.withPermit(one))

  return SecretStore.of({
    get: find,
    list: Effect.sync(() => [...document.secrets.values()].toSorted(byName)),
    count: Effect.sync(() => document.secrets.size),
    add,
    update,
    rotated,
    remove,
    wipe,
    origin
  })
})

const open = Effect.fnUntraced(function* (paths: StorePaths) {
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets === undefined) return yield* create(paths)
  if (identity === undefined || secrets === undefined) return yield* halfThere(paths, identity === undefined)

  for (const path of [paths.identity, paths.secrets]) {
    if (yield* tightenMode(path, 0o600)) yield* Effect.logWarning(`${path} was open to others; its mode is 0600 now`)
  }
  const key = yield* Effect.mapError(
    ageFile.readIdentity(identity),
    ({ reason }) => new StoreUnreadable({ path: paths.identity, reason, fix: "Put the right identity.age back." })
  )
  const text = yield* Effect.mapError(key.decrypt(secrets), ({ reason }) => unreadable(paths, reason))
  const document = decode(text)
  if (Result.isFailure(document)) return yield* unreadable(paths, document.failure)
  return { key, document: document.success, origin: "loaded" as const }
})

const unreadable = (paths: StorePaths, reason: string) =>
  new StoreUnreadable({
    path: paths.secrets,
    reason,
    fix: `Put a good copy in its place; ${paths.secrets}.bak is the store before the last change.`
  })

const halfThere = (paths: StorePaths, identityIsMissing: boolean) => {
  const [path, other] = identityIsMissing ? [paths.identity, paths.secrets] : [paths.secrets, paths.identity]
  return new StoreUnreadable({
    path,
    reason: `it is missing, but ${other} is there`,
    fix: `Put the missing file back, or move ${other} away to begin with an empty store.`
  })
}

/**
 * Makes the key and the empty store. identity.age gets its name last, and a start that finds the other name finishes
 * that (`finishCreation`): a crash in between leaves a store that can be read or none at all.
 */
const create = Effect.fnUntraced(
  function* (paths: StorePaths) {
    const key = yield* ageFile.generate
    yield* replaceFile(unfinished(paths), [Buffer.from(Redacted.value(key.identity), "utf8")])
    yield* replaceFile(paths.secrets, [yield* encryptChecked(key, empty)])
    yield* renameDurably(unfinished(paths), paths.identity)
    return { key, document: empty, origin: "initialized" as const }
  },
  Effect.mapError((cause) => new SecretStoreError({ operation: "write", cause }))
)

const finishCreation = Effect.fnUntraced(function* (paths: StorePaths) {
  const begun = yield* readIfPresent(unfinished(paths))
  if (begun === undefined) return
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets !== undefined) yield* renameDurably(unfinished(paths), paths.identity)
})

const unfinished = (paths: StorePaths): string => `${paths.identity}.new`

/** Encrypts, and decrypts again: a store that could not be read back is not written. */
const encryptChecked = Effect.fnUntraced(function* (key: AgeKey, document: StoreDocument) {
  const text = encode(document)
  const file = yield* key.encrypt(text)
  const back = yield* key.decrypt(file)
  if (back !== text) return yield* new ageFile.AgeError({ reason: "the encrypted store did not read back" })
  return file
})
