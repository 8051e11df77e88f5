/**
 * Values that were rejected where they are used: recorded when a helper reports one, and found in the
 * audit log until the value changes.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { type LeaseOrigin, refusedFact } from "../../domain/factMakers.ts"
import { credentialRejectedFact } from "../../domain/storeFacts.ts"
import { permitsSecret } from "../../domain/Caller.ts"
import { isHidden } from "../../domain/Policy.ts"
import { type RejectedCredential, RejectionSearch } from "../../domain/rejectedCredentials.ts"
import { SecretNotFound } from "../../domain/Secret.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { CurrentPolicy } from "./CurrentPolicy.ts"

/** How much of the log to read at most, in characters: thousands of entries, of which rejections are few. */
const maxLength = 4 * 1024 * 1024

/** Decoding an entry is much slower than this. */
const mayDecide = /"action":"(?:credential_rejected|secret_(?:add|update|rotate))"/

/** Records a rejection; fails for a secret that does not exist for the caller. */
export const reportRejection = Effect.fnUntraced(function* (secretName: string, clientId: string, origin: LeaseOrigin) {
  const audit = yield* AuditLog
  const fact = credentialRejectedFact(secretName, clientId, origin)
  const policy = (yield* CurrentPolicy).get()
  const isKnown =
    permitsSecret(yield* CurrentCaller, secretName) &&
    !isHidden(policy, secretName, clientId) &&
    Result.isSuccess((yield* SecretStore).get(secretName))
  yield* audit.append([isKnown ? fact : refusedFact(fact, "secret not found")])
  if (!isKnown) return yield* new SecretNotFound({ name: secretName })
})

/** Finds the rejected values among these secrets, the last one first. */
export const findRejections = Effect.fn("findRejections")(function* (
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<RejectedCredential>, AuditLogError, AuditLog> {
  const audit = yield* AuditLog
  const search = new RejectionSearch()
  let length = 0
  yield* audit.readBackwards((line) => {
    length += line.length
    if (mayDecide.test(line)) {
      const entry = Option.getOrUndefined(decodeEntry(line))
      if (entry !== undefined) search.visit(entry)
    }
    return length < maxLength
  })
  return search.result().filter(({ secretName }) => names.includes(secretName))
})
