/**
 * identity.age and secrets.age: found, made, read and written.
 *
 * A store is created only where neither file is there; one that cannot be read
 * stops the start and is not touched. What is written was read back first, and only
 * into the directory the store was opened in. The store before the last change stays
 * beside it as secrets.age.bak.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { dirname } from "node:path"
import type { AgeKey } from "./ageFile.ts"
import * as ageFile from "./ageFile.ts"
import { readIfPresent, removeDurably, renameDurably, replaceFile, tightenMode } from "../files/durableFile.ts"
import { pinDirectory } from "../files/pinDirectory.ts"
import type { StoreDocument } from "./storeDocument.ts"
import { decodeStore, emptyStore, encodeStore } from "./storeDocument.ts"

export interface StorePaths {
  readonly identity: string
  readonly secrets: string
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

/** What this process had of the store last, for the case that it is opened again and its files are gone. */
export interface StoreMemory {
  last: { readonly key: AgeKey; readonly document: StoreDocument; readonly disks: ReadonlyArray<number> } | undefined
}

/** Reads the store, or makes one; gives what is in it and how to write it. */
export const openStore = Effect.fn("openStore")(function* (paths: StorePaths, memory: StoreMemory) {
  const directories = yield* Effect.forEach([paths.identity, paths.secrets], (file) => pinDirectory(dirname(file)))
  const disks = directories.map(({ device }) => device)
  yield* finishCreation(paths)
  const { document, key, origin } = yield* open(paths, memory, disks)
  const backup = `${paths.secrets}.bak`
  const checkAllSync = () => directories.forEach(({ checkSync }) => checkSync())
  const checkAll = Effect.forEach(directories, ({ check }) => check)
  const remember = (now: StoreDocument) => Effect.sync(() => void (memory.last = { key, document: now, disks }))
  yield* remember(document)
  return {
    document,
    origin,
    save: Effect.fnUntraced(function* (next: StoreDocument) {
      const file = yield* encryptChecked(key, next)
      yield* checkAll
      yield* replaceFile(paths.secrets, [file], { backup, check: checkAllSync })
      yield* remember(next)
    }),
    forgetBackup: Effect.andThen(checkAll, removeDurably(backup))
  }
})

const open = Effect.fnUntraced(function* (paths: StorePaths, memory: StoreMemory, disks: ReadonlyArray<number>) {
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets === undefined) return yield* begin(paths, memory, disks)
  if (identity === undefined || secrets === undefined) return yield* halfThere(paths, identity === undefined)

  for (const path of [paths.identity, paths.secrets]) {
    if (yield* tightenMode(path, 0o600)) yield* Effect.logWarning(`${path} was open to others; its mode is 0600 now`)
  }
  const key = yield* Effect.mapError(
    ageFile.readIdentity(identity),
    ({ reason }) => new StoreUnreadable({ path: paths.identity, reason, fix: "Put the right identity.age back." })
  )
  const contents = yield* Effect.mapError(key.decrypt(secrets), ({ reason }) => unreadable(paths, reason))
  const document = Result.flatMap(utf8(contents), decodeStore)
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
 * Where no store is: makes the key and an empty one. But a store that was open before and lost its files is written
 * anew from memory, with the same key; not onto a disk that nobody chose for a key, though, as under the place of a
 * volume that was taken away.
 */
const begin = Effect.fnUntraced(function* (paths: StorePaths, { last }: StoreMemory, disks: ReadonlyArray<number>) {
  if (last === undefined) {
    const made = { key: yield* ageFile.generateKey, document: emptyStore }
    yield* create(paths, made.key, made.document)
    return { ...made, origin: "initialized" as const }
  }
  if (disks.some((disk, at) => disk !== last.disks[at])) {
    return yield* new StoreUnreadable({
      path: paths.secrets,
      reason: "it is gone, and what stands in its place is on another disk",
      fix: "Bring the disk with the store back. To begin with an empty store on this one, restart the daemon."
    })
  }
  yield* create(paths, last.key, last.document)
  return { key: last.key, document: last.document, origin: "rescued" as const }
})

/**
 * identity.age gets its name last, and a start that finds the other name finishes that (`finishCreation`): a crash in
 * between leaves a store that can be read or none at all.
 */
const create = Effect.fnUntraced(function* (paths: StorePaths, key: AgeKey, document: StoreDocument) {
  yield* replaceFile(unfinished(paths), [Buffer.from(Redacted.value(key.identity), "utf8")])
  yield* replaceFile(paths.secrets, [yield* encryptChecked(key, document)])
  yield* renameDurably(unfinished(paths), paths.identity)
})

const finishCreation = Effect.fnUntraced(function* (paths: StorePaths) {
  const begun = yield* readIfPresent(unfinished(paths))
  if (begun === undefined) return
  const identity = yield* readIfPresent(paths.identity)
  const secrets = yield* readIfPresent(paths.secrets)
  if (identity === undefined && secrets !== undefined) yield* renameDurably(unfinished(paths), paths.identity)
})

const unfinished = (paths: StorePaths): string => `${paths.identity}.new`

const utf8 = (contents: Uint8Array): Result.Result<string, string> =>
  Result.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(contents),
    catch: () => "its contents are not UTF-8"
  })

/** Encrypts, and decrypts again: a store that could not be read back is not written. */
const encryptChecked = Effect.fnUntraced(function* (key: AgeKey, document: StoreDocument) {
  const contents = Buffer.from(encodeStore(document), "utf8")
  const file = yield* key.encrypt(contents)
  const back = yield* key.decrypt(file)
  if (!contents.equals(back)) return yield* new ageFile.AgeError({ reason: "the encrypted store did not read back" })
  return file
})
