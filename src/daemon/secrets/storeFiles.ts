/**
 * Finds, creates, reads and writes identity.age and secrets.age.
 *
 * A store is created only if neither file exists. One that cannot be read stops the start and
 * stays unchanged. Every new version is decrypted again before it is written. It is written only
 * to the directory in which the store was opened. secrets.age.bak is the previous version.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"
import { dirname } from "node:path"
import { sha256 } from "../../domain/AuditChain.ts"
import type { AgeKey } from "./ageFile.ts"
import * as ageFile from "./ageFile.ts"
import {
  type FileError,
  readIfPresent,
  removeDurably,
  renameDurably,
  replaceFile,
  tightenMode
} from "../files/durableFile.ts"
import { pinDirectory } from "../files/pinDirectory.ts"
import { decodeStore, emptyStore, encodeStore, type StoreDocument } from "./storeDocument.ts"

export interface StorePaths {
  readonly identity: string
  readonly secrets: string
}

/** The store cannot be read and was not changed. `path` is the faulty file. */
export class StoreUnreadable extends Data.TaggedError("StoreUnreadable")<{
  readonly path: string
  readonly reason: string
  /** A hint for the person. */
  readonly fix: string
}> {
  override get message() {
    return `cannot read ${this.path}: ${this.reason}`
  }
}

/** The last state of the store in this process, to restore it if its files are gone when it is reopened. */
export interface StoreMemory {
  last: { readonly key: AgeKey; readonly document: StoreDocument; readonly devices: ReadonlyArray<number> } | undefined
}

/** A new version of the store: encrypted, but not written. */
export interface PreparedStore {
  /** The SHA-256 of secrets.age once it is written. */
  readonly hash: string
  readonly write: Effect.Effect<void, FileError>
}

/** Reads the store, or creates one; returns its contents, the hash of its file, and how to write the next version. */
export const openStore = Effect.fn("openStore")(function* (paths: StorePaths, memory: StoreMemory) {
  const directories = yield* Effect.forEach([paths.identity, paths.secrets], (file) => pinDirectory(dirname(file)))
  const devices = directories.map(({ device }) => device)
  yield* finishCreation(paths)
  const { document, hash, key, origin } = yield* open(paths, memory, devices)
  const backup = `${paths.secrets}.bak`
  const checkAllSync = () => directories.forEach(({ checkSync }) => checkSync())
  const checkAll = Effect.forEach(directories, ({ check }) => check)
  const remember = (now: StoreDocument) => Effect.sync(() => void (memory.last = { key, document: now, devices }))
  yield* remember(document)
  return {
    document,
    hash,
    origin,
    prepare: Effect.fn("openStore.prepare")(function* (next: StoreDocument) {
      const file = yield* encryptChecked(key, next)
      const write = Effect.gen(function* () {
        yield* checkAll
        yield* replaceFile(paths.secrets, [file], { backup, check: checkAllSync })
        yield* remember(next)
      })
      return { hash: sha256(file), write } satisfies PreparedStore
    }),
    removeBackup: Effect.andThen(checkAll, removeDurably(backup))
  }
})

const open = Effect.fn("openStore.open")(function* (
  paths: StorePaths,
  memory: StoreMemory,
  devices: ReadonlyArray<number>
) {
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets === undefined) return yield* createOrRestore(paths, memory, devices)
  if (identity === undefined || secrets === undefined) return yield* fileMissing(paths, identity === undefined)

  for (const path of [paths.identity, paths.secrets]) {
    if (yield* tightenMode(path, 0o600))
      yield* Effect.logWarning(`${path} was accessible to other users; its mode is now 0600`)
  }
  const key = yield* Effect.mapError(
    ageFile.readIdentity(identity),
    ({ reason }) => new StoreUnreadable({ path: paths.identity, reason, fix: "Restore the right identity.age." })
  )
  const contents = yield* Effect.mapError(key.decrypt(secrets), ({ reason }) => unreadable(paths, reason))
  if (!isUtf8(contents)) return yield* unreadable(paths, "its contents are not UTF-8")
  const document = decodeStore(Buffer.from(contents).toString("utf8"))
  if (Result.isFailure(document)) return yield* unreadable(paths, document.failure)
  return { key, document: document.success, hash: sha256(secrets), origin: "loaded" as const }
})

const unreadable = (paths: StorePaths, reason: string) =>
  new StoreUnreadable({
    path: paths.secrets,
    reason,
    fix: `Restore a good copy. ${paths.secrets}.bak is the store before the last change`
  })

const fileMissing = (paths: StorePaths, identityIsMissing: boolean) => {
  const [path, other] = identityIsMissing ? [paths.identity, paths.secrets] : [paths.secrets, paths.identity]
  return new StoreUnreadable({
    path,
    reason: `it is missing, but ${other} exists`,
    fix: `Restore the missing file, or move ${other} away to start with an empty store`
  })
}

/**
 * Creates a key and an empty store. If this process had the store open before, it restores that store with the same key,
 * except on another disk, such as the directory under a missing mount.
 */
const createOrRestore = Effect.fn("createOrRestore")(function* (
  paths: StorePaths,
  { last }: StoreMemory,
  devices: ReadonlyArray<number>
) {
  if (last === undefined) {
    const made = { key: yield* ageFile.generateKey, document: emptyStore }
    const hash = yield* create(paths, made.key, made.document)
    return { ...made, hash, origin: "initialized" as const }
  }
  if (devices.some((device, at) => device !== last.devices[at])) {
    return yield* new StoreUnreadable({
      path: paths.secrets,
      reason: "it is missing, and its directory is now on another disk",
      fix: "Mount the disk with the store again. To start with an empty store on this disk, restart the daemon"
    })
  }
  const hash = yield* create(paths, last.key, last.document)
  return { key: last.key, document: last.document, hash, origin: "restored" as const }
})

/**
 * Writes a new store and returns the hash of its file. Renames identity.age last, so that a crash leaves either no store
 * or one that `finishCreation` completes.
 */
const create = Effect.fn("openStore.create")(function* (paths: StorePaths, key: AgeKey, document: StoreDocument) {
  yield* replaceFile(unfinished(paths), [Buffer.from(Redacted.value(key.identity), "utf8")])
  const file = yield* encryptChecked(key, document)
  yield* replaceFile(paths.secrets, [file])
  yield* renameDurably(unfinished(paths), paths.identity)
  return sha256(file)
})

const finishCreation = Effect.fn("finishCreation")(function* (paths: StorePaths) {
  const pending = yield* readIfPresent(unfinished(paths))
  if (pending === undefined) return
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets !== undefined) yield* renameDurably(unfinished(paths), paths.identity)
})

const unfinished = (paths: StorePaths): string => `${paths.identity}.new`

/** Encrypts, and decrypts the result again to check it. */
const encryptChecked = Effect.fn("encryptChecked")(function* (key: AgeKey, document: StoreDocument) {
  const contents = Buffer.from(encodeStore(document), "utf8")
  const file = yield* key.encrypt(contents)
  const decrypted = yield* key.decrypt(file)
  if (!contents.equals(decrypted))
    return yield* new ageFile.AgeError({ reason: "the encrypted store could not be decrypted again" })
  return file
})
