/**
 * backup and restore: the text of the store for its owner, and the way back.
 *
 * The text is that of secrets.age, so a backup can be read without this program. Encrypting it
 * is the command's work: the daemon gets no passphrase. Both are audited before the reply.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { backupFact } from "../../domain/AuditEntry.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { MergeOptions } from "../secrets/mergeStore.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { decodeStore } from "../secrets/storeDocument.ts"

/** The text is not that of a store. */
export class NoStore extends Schema.TaggedError<NoStore>()("NoStore", { reason: Schema.String }) {
  override get message() {
    return `this is no backup of a store: ${this.reason}`
  }
}

/** Returns the text of the store, and the number of its secrets. */
export const backupStore = Effect.gen(function* () {
  const secrets = yield* SecretStore
  const audit = yield* AuditLog
  const text = yield* secrets.text
  const count = yield* secrets.count
  yield* audit.append([backupFact(count)])
  return { text, count }
})

export const restoreStore = Effect.fn("restoreStore")(function* (text: string, options: MergeOptions) {
  const backup = decodeStore(text)
  if (Result.isFailure(backup)) return yield* new NoStore({ reason: backup.failure })
  const secrets = yield* SecretStore
  return yield* secrets.merge(backup.success, options)
})
