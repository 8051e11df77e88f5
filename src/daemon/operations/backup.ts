/**
 * backup and restore: the text of the store for its owner, and the way back.
 *
 * The text is that of secrets.age, so a backup can be read without this program. Encrypting it
 * is the command's work: the daemon gets no passphrase. Both are audited before the reply.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { backupFact } from "../../domain/storeFacts.ts"
import { quote } from "../../domain/goText.ts"
import { descriptionLimit, nameLimit, valueLimit } from "../../domain/Secret.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { MergeOptions } from "../secrets/mergeStore.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { endStored } from "./requests.ts"
import { decodeStore, type StoreDocument, type StoredSecret } from "../secrets/storeDocument.ts"

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

/** Decodes a backup, whose secrets have the limits of added ones; the failure states what is wrong and where. */
export const decodeBackup = (text: string): Result.Result<StoreDocument, string> =>
  Result.flatMap(decodeStore(text), (backup) => {
    for (const secret of backup.secrets.values()) {
      const excess = excessOf(secret)
      if (excess !== undefined) return Result.fail(excess)
    }
    return Result.succeed(backup)
  })

const excessOf = ({ description, name, rotateVia, value }: StoredSecret): string | undefined => {
  if (name === "") return "one of its secrets has no name"
  if (Buffer.byteLength(name) > nameLimit) return `the name of one of its secrets is longer than ${nameLimit} bytes`
  const text = Redacted.value(value)
  if (text === "") return `the value of the secret ${quote(name)} is empty`
  const limited = [
    ["value", text, valueLimit],
    ["rotate_via", rotateVia, nameLimit],
    ["description", description, descriptionLimit]
  ] as const
  const long = limited.find(([, given, limit]) => Buffer.byteLength(given) > limit)
  return long && `the ${long[0]} of the secret ${quote(name)} is longer than ${long[2]} bytes`
}

export const restoreStore = Effect.fn("restoreStore")(function* (text: string, options: MergeOptions) {
  const backup = decodeBackup(text)
  if (Result.isFailure(backup)) return yield* new NoStore({ reason: backup.failure })
  const secrets = yield* SecretStore
  const merged = yield* secrets.merge(backup.success, options)
  if (!options.dryRun) yield* endStored([...backup.success.secrets.keys()])
  return merged
})
