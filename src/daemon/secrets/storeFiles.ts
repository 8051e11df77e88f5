/**
 * Finds, reads, checks and writes identity.age and secrets.age.
 *
 * A store that cannot be read stops the start and stays unchanged. Before every write both files
 * must be those in memory: a missing one is written again, another one is never overwritten.
 * Every new version is decrypted before it is written. secrets.age.bak is the previous one.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"
import * as fs from "node:fs"
import { sha256 } from "../../domain/AuditChain.ts"
import type { AgeError, AgeKey } from "./ageFile.ts"
import * as ageFile from "./ageFile.ts"
import {
  attemptSync,
  type FileError,
  readIfPresent,
  readStamped,
  removeDurably,
  replaceFile,
  tightenMode
} from "../files/durableFile.ts"
import { pinFile } from "../files/pinFile.ts"
import { KnownFile, StoreReplaced } from "./KnownFile.ts"
import type { LockState } from "./lockFile.ts"
import {
  besideLink,
  finishReplacement,
  identityBytes,
  keyThatOpens,
  replacePair,
  settleReplacement
} from "./replaceKey.ts"
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

/** The last state of the store in this process, to write it again if its files are gone. */
export interface StoreMemory {
  last: { readonly key: AgeKey; readonly document: StoreDocument; readonly devices: ReadonlyArray<number> } | undefined
  /** Whether the store is locked, wherever its directory is then. */
  locked?: LockState | undefined
}

/**
 * What a change does to the versions before it: `update` keeps the last one as the backup, after `delete` no file has
 * what was removed, and `wipe` also makes a new key, which no older file of the store opens.
 */
export type StoreChange = "update" | "delete" | "wipe"

/** The next version of the store, encrypted but not written yet. */
export interface PreparedStore {
  /** The SHA-256 of secrets.age once it is written. */
  readonly hash: string | undefined
  readonly write: Effect.Effect<void, FileError | StoreReplaced>
}

export interface StoreFiles {
  /** The last version that is on disk. */
  readonly document: () => StoreDocument
  /** The SHA-256 of secrets.age; undefined for a store in memory only. */
  readonly hash: () => string | undefined
  readonly origin: "loaded" | "initialized" | "restored"
  /** Compares both files with memory, and writes again what is missing; returns what was written. */
  readonly restoreMissing: Effect.Effect<ReadonlyArray<string>, StoreReplaced | FileError | AgeError>
  /** Derives 32 bytes from the key of the store, which they do not reveal: the same ones for the same purpose. */
  readonly derive: (purpose: string) => Buffer
  /** Decrypts a file that another program encrypted to the key of the store. */
  readonly decrypt: AgeKey["decrypt"]
  /** Returns whether the two files that are there now, of any program, are a store that a start can open. */
  readonly canOpen: Effect.Effect<boolean>
  /** Encrypts the next version. `from` is the one that it was made from, where others may change the store meanwhile. */
  readonly prepare: (
    next: StoreDocument,
    change: StoreChange,
    from: StoreDocument
  ) => Effect.Effect<PreparedStore, AgeError>
}

/** Reads the store, or creates one. */
export const openStore = Effect.fn("openStore")(function* (paths: StorePaths, memory: StoreMemory) {
  const [identity, secrets] = yield* pinFiles(paths)
  const files = [identity, secrets]
  const devices = files.map(({ pinned }) => pinned.directory.device)
  yield* settleReplacement(identity, secrets)
  const opened = yield* open(identity, secrets, memory, devices)
  let { document, key } = opened
  const remember = (nextKey: AgeKey, now: StoreDocument) => {
    key = nextKey
    document = now
    memory.last = { key, document, devices }
  }
  remember(key, document)

  const checkDirectories = Effect.forEach(files, ({ pinned }) => pinned.directory.check)
  /** Throws unless both files are those in memory; secrets.age may be missing. */
  const check = () => {
    for (const { pinned } of files) pinned.directory.checkSync()
    for (const file of files) {
      const status = file.status()
      if (status === "unlinked" || (status === "missing" && file === identity)) {
        throw new StoreReplaced({ path: file.pinned.name, reason: "it was removed just now" })
      }
    }
  }

  const restoreMissing = Effect.gen(function* () {
    yield* checkDirectories
    yield* finishReplacement(identity, secrets, key)
    const restored: Array<string> = []
    for (const file of files) {
      const { name, path } = file.pinned
      if ((yield* statusOf(file)) === "unlinked") {
        yield* attemptSync("link", name, () => fs.symlinkSync(path, name))
        restored.push(name)
      }
      if ((yield* statusOf(file)) !== "missing") continue
      const contents = file === identity ? identityBytes(key) : yield* encryptChecked(key, document)
      file.setRestored(contents, yield* replaceFile(path, [contents]))
      restored.push(path)
    }
    return restored
  })

  const canOpen = Effect.gen(function* () {
    const [key, store] = yield* Effect.forEach(files, ({ pinned }) => readIfPresent(pinned.name))
    return key !== undefined && store !== undefined && (yield* keyThatOpens(key, store)) !== undefined
  }).pipe(Effect.orElseSucceed(() => false))

  const prepare = Effect.fn("openStore.prepare")(function* (next: StoreDocument, change: StoreChange) {
    const nextKey = change === "wipe" ? yield* ageFile.generateKey : key
    const file = yield* encryptChecked(nextKey, next)
    const committed = () => remember(nextKey, next)
    const writing =
      change === "wipe"
        ? replacePair(identity, secrets, { key: nextKey, file, check, committed })
        : Effect.map(replaceStore(secrets, file, change, check), committed)
    const hash = sha256(file)
    return { hash, write: Effect.andThen(checkDirectories, writing).pipe(Effect.mapError(unwrapReplaced)) }
  })
  return {
    document: () => document,
    hash: () => secrets.digest,
    origin: opened.origin,
    restoreMissing,
    derive: (purpose) => ageFile.deriveFrom(key, purpose),
    decrypt: (file) => key.decrypt(file),
    canOpen,
    prepare
  } satisfies StoreFiles
})

const pinFiles = Effect.fnUntraced(function* (paths: StorePaths) {
  const [identity, secrets] = [yield* pinFile(paths.identity), yield* pinFile(paths.secrets)]
  return [
    new KnownFile(
      identity,
      (contents) => ageFile.keysIn(contents).join("\n"),
      "it does not hold the key of this daemon"
    ),
    new KnownFile(secrets, (contents) => contents, "another program has changed or replaced it")
  ] as const
})

const statusOf = (file: KnownFile) =>
  Effect.try({ try: () => file.status(), catch: (cause) => cause }).pipe(
    Effect.catch((cause) => (cause instanceof StoreReplaced ? Effect.fail(cause) : Effect.die(cause)))
  )

/** Returns the reason of a check that prevented a write. */
const unwrapReplaced = (error: FileError): FileError | StoreReplaced =>
  error.cause instanceof StoreReplaced ? error.cause : error

/** Writes secrets.age. After a deletion, the backup is the new version too; where that cannot be written, there is none. */
const replaceStore = Effect.fn("replaceStore")(function* (
  secrets: KnownFile,
  file: Uint8Array,
  change: StoreChange,
  check: () => void
) {
  const { path } = secrets.pinned
  const backup = `${path}.bak`
  secrets.expect(file)
  if (change === "delete") {
    yield* attemptSync("write", path, check)
    yield* replaceFile(backup, [file]).pipe(Effect.catchTag("FileError", () => removeDurably(backup)))
    yield* Effect.forEach(besideLink(secrets.pinned), removeDurably)
  }
  const options = change === "delete" ? { check } : { check, backup }
  secrets.set(file, yield* replaceFile(path, [file], options))
})

const open = Effect.fn("openStore.open")(function* (
  identity: KnownFile,
  secrets: KnownFile,
  memory: StoreMemory,
  devices: ReadonlyArray<number>
) {
  const paths: StorePaths = { identity: identity.pinned.path, secrets: secrets.pinned.path }
  const found = { identity: yield* readStamped(paths.identity), secrets: yield* readStamped(paths.secrets) }
  if (found.identity === undefined && found.secrets === undefined) {
    return yield* createOrRestore(identity, secrets, memory, devices)
  }
  if (found.identity === undefined || found.secrets === undefined) {
    return yield* fileMissing(paths, found.identity === undefined)
  }
  for (const path of [paths.identity, paths.secrets]) yield* tighten(path)
  const key = yield* Effect.mapError(
    ageFile.readIdentity(found.identity.contents),
    ({ reason }) => new StoreUnreadable({ path: paths.identity, reason, fix: "Restore the right identity.age." })
  )
  const contents = yield* Effect.mapError(key.decrypt(found.secrets.contents), ({ reason }) =>
    unreadable(paths, reason)
  )
  if (!isUtf8(contents)) return yield* unreadable(paths, "its contents are not UTF-8")
  const document = decodeStore(Buffer.from(contents).toString("utf8"))
  if (Result.isFailure(document)) return yield* unreadable(paths, document.failure)
  identity.set(found.identity.contents, found.identity.stamp)
  secrets.set(found.secrets.contents, found.secrets.stamp)
  return { key, document: document.success, origin: "loaded" as const }
})

/** Takes the permissions of other users away. The mode of another user's file cannot be changed, and prevents no start. */
const tighten = (path: string) =>
  tightenMode(path, 0o600).pipe(
    Effect.flatMap((changed) =>
      changed ? Effect.logWarning(`${path} was accessible to other users; its mode is now 0600`) : Effect.void
    ),
    Effect.catch((error) => Effect.logWarning(`${error.message}; other users can access it`))
  )

export const unreadable = (paths: StorePaths, reason: string) =>
  new StoreUnreadable({
    path: paths.secrets,
    reason,
    fix: fs.existsSync(`${paths.secrets}.bak`)
      ? `Restore a good copy. ${paths.secrets}.bak is the store before the last change`
      : "Restore a good copy, with the identity.age that belongs to it"
  })

/** Returns what is missing if there is no store at all, so that opening it would create one. */
export const missingStore = ({ identity, secrets }: StorePaths): StoreUnreadable | undefined =>
  fs.existsSync(identity) || fs.existsSync(secrets)
    ? undefined
    : new StoreUnreadable({ path: secrets, reason: "it is missing", fix: "Restore it, then unlock the store" })

/** Returns the SHA-256 of a store that is not opened; undefined if it cannot be read. */
export const hashOfStore = ({ secrets }: StorePaths): Effect.Effect<string | undefined> =>
  readStamped(secrets).pipe(
    Effect.map((found) => (found === undefined ? undefined : sha256(found.contents))),
    Effect.orElseSucceed(() => undefined)
  )

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
  identity: KnownFile,
  secrets: KnownFile,
  { last }: StoreMemory,
  devices: ReadonlyArray<number>
) {
  const dangling = [identity, secrets].find(({ pinned }) => pinned.name !== pinned.path)
  if (dangling !== undefined) {
    const { name, path } = dangling.pinned
    return yield* new StoreUnreadable({
      path: name,
      reason: `it is a symbolic link to ${path}, which is missing`,
      fix: "Restore that file or mount its disk. To start with an empty store, remove the link"
    })
  }
  if (last !== undefined && devices.some((device, at) => device !== last.devices[at])) {
    return yield* new StoreUnreadable({
      path: secrets.pinned.path,
      reason: "it is missing, and its directory is now on another disk",
      fix: "Mount the disk with the store again. To start with an empty store on this disk, restart the daemon"
    })
  }
  const key = last?.key ?? (yield* ageFile.generateKey)
  const document = last?.document ?? emptyStore
  const file = yield* encryptChecked(key, document)
  yield* replacePair(identity, secrets, { key, file, check: () => undefined, committed: () => undefined })
  return { key, document, origin: last === undefined ? ("initialized" as const) : ("restored" as const) }
})

/** Encrypts and decrypts again, to check the result. */
const encryptChecked = Effect.fn("encryptChecked")(function* (key: AgeKey, document: StoreDocument) {
  const contents = Buffer.from(encodeStore(document), "utf8")
  const file = yield* key.encrypt(contents)
  const decrypted = yield* key.decrypt(file)
  if (!contents.equals(decrypted))
    return yield* new ageFile.AgeError({ reason: "the encrypted store could not be decrypted again" })
  return file
})
