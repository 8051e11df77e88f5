/**
 * identity.age and secrets.age: found, made, read and written.
 *
 * A store is created only where neither file is there; one that cannot be read
 * stops the start and is not touched. What is written was read back first. The
 * store before the last change stays beside it as secrets.age.bak.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AgeKey } from "./ageFile.ts"
import * as ageFile from "./ageFile.ts"
import { readIfPresent, removeDurably, renameDurably, replaceFile, tightenMode } from "./durableFile.ts"
import type { StoreDocument } from "./storeDocument.ts"
import { decode, empty, encode } from "./storeDocument.ts"

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

/** Reads the store, or makes one; gives what is in it and how to write it. */
export const openStore = Effect.fn("openStore")(function* (paths: StorePaths) {
  yield* finishCreation(paths)
  const { document, key, origin } = yield* open(paths)
  const backup = `${paths.secrets}.bak`
  return {
    document,
    origin,
    save: (next: StoreDocument) =>
      Effect.flatMap(encryptChecked(key, next), (file) => replaceFile(paths.secrets, [file], { backup })),
    forgetBackup: removeDurably(backup)
  }
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
const create = Effect.fnUntraced(function* (paths: StorePaths) {
  const key = yield* ageFile.generate
  yield* replaceFile(unfinished(paths), [Buffer.from(Redacted.value(key.identity), "utf8")])
  yield* replaceFile(paths.secrets, [yield* encryptChecked(key, empty)])
  yield* renameDurably(unfinished(paths), paths.identity)
  return { key, document: empty, origin: "initialized" as const }
})

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
  const read = Result.map(decode(back), ({ secrets }) => secrets.size)
  if (back !== text || Result.getOrUndefined(read) !== document.secrets.size) {
    return yield* new ageFile.AgeError({ reason: "the encrypted store did not read back" })
  }
  return file
})
