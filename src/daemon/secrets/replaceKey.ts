/**
 * Writes a new key and the store that it opens: two files, and one step for every reader.
 *
 * The key waits as identity.age.new until secrets.age is written, and is renamed last. After a
 * crash, the next start renames it if it opens secrets.age and removes it otherwise. So there is
 * the old pair or the new one, and never a store without its key.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type AgeKey, readIdentity } from "./ageFile.ts"
import {
  type FileError,
  readIfPresent,
  readStamped,
  removeDurably,
  renameDurably,
  replaceFile
} from "../files/durableFile.ts"
import type { PinnedFile } from "../files/pinFile.ts"
import type { KnownFile } from "./KnownFile.ts"

/** Returns the bytes of identity.age. */
export const identityBytes = (key: AgeKey): Uint8Array => Buffer.from(Redacted.value(key.file), "utf8")

const waitingKey = (identity: KnownFile): string => `${identity.pinned.path}.new`

/** Replaces both files. `committed` runs when the new store is on disk; what fails after that is finished later. */
export const replacePair = Effect.fn("replacePair")(function* (
  identity: KnownFile,
  secrets: KnownFile,
  next: { readonly key: AgeKey; readonly file: Uint8Array; readonly check: () => void; readonly committed: () => void }
) {
  const bytes = identityBytes(next.key)
  yield* replaceFile(waitingKey(identity), [bytes])
  identity.expect(bytes)
  secrets.expect(next.file)
  const writing = replaceFile(secrets.pinned.path, [next.file], { check: next.check })
  yield* writing.pipe(
    Effect.map((stamp) => secrets.set(next.file, stamp)),
    Effect.catch((error) => keepIfWritten(error, identity, secrets, next.file))
  )
  next.committed()
  yield* finishReplacement(identity, secrets, next.key)
}, Effect.uninterruptible)

/** Continues if the file has its new contents although the write failed; otherwise removes the waiting key and fails. */
const keepIfWritten = Effect.fnUntraced(function* (
  error: FileError,
  identity: KnownFile,
  secrets: KnownFile,
  file: Uint8Array
) {
  const status = yield* Effect.orElseSucceed(
    Effect.try(() => secrets.status()),
    () => "unknown" as const
  )
  if (status === "same" && secrets.has(file)) return
  // Unknown contents may be the new ones; then the next start decides.
  if (status !== "unknown") yield* Effect.ignore(removeDurably(waitingKey(identity)))
  return yield* error
})

/** Renames the waiting key if it is this one, and removes the older versions of the store, which another key opens. */
export const finishReplacement = Effect.fn("finishReplacement")(function* (
  identity: KnownFile,
  secrets: KnownFile,
  key: AgeKey
) {
  const waiting = yield* readStamped(waitingKey(identity))
  const bytes = identityBytes(key)
  if (waiting === undefined || !waiting.contents.equals(bytes)) return
  const replaces = (yield* readIfPresent(identity.pinned.path)) !== undefined
  // Before the rename, after which nothing shows that they are still to be removed.
  const removed = yield* Effect.exit(replaces ? removeOlderVersions(secrets.pinned) : Effect.void)
  yield* renameDurably(waitingKey(identity), identity.pinned.path)
  identity.set(bytes, { ...waiting.stamp, ctime: undefined })
  yield* removed
})

/** Decides at a start what a crash has left: by what opens secrets.age. */
export const settleReplacement = Effect.fn("settleReplacement")(function* (identity: KnownFile, secrets: KnownFile) {
  const waiting = yield* readIfPresent(waitingKey(identity))
  const store = yield* readIfPresent(secrets.pinned.path)
  if (waiting === undefined || store === undefined) return
  const key = yield* keyThatOpens(waiting, store)
  if (key !== undefined) return yield* finishReplacement(identity, secrets, key)
  const current = yield* readIfPresent(identity.pinned.path)
  if (current !== undefined && (yield* keyThatOpens(current, store)) !== undefined) {
    yield* removeDurably(waitingKey(identity))
  }
})

/** Returns the key if it opens the store; undefined otherwise. */
export const keyThatOpens = (identity: Uint8Array, store: Uint8Array) =>
  readIdentity(identity).pipe(
    Effect.tap((key) => key.decrypt(store)),
    Effect.orElseSucceed(() => undefined)
  )

/** Removes what has an older version of the store, or a part of one. */
const removeOlderVersions = Effect.fnUntraced(function* ({ name, path }: PinnedFile) {
  yield* Effect.forEach([`${path}.bak`, `${path}.bak.tmp`, ...besideLink({ name, path })], removeDurably, {
    discard: true
  })
})

/** Returns what a store that became a symbolic link has left beside the link. */
export const besideLink = ({ name, path }: Pick<PinnedFile, "name" | "path">): ReadonlyArray<string> =>
  name === path ? [] : [".bak", ".bak.tmp", ".tmp"].map((suffix) => `${name}${suffix}`)
