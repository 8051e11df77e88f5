/**
 * acceptFindings: a person has looked at what the verification found, and accepts it. The log
 * keeps an entry that names each finding by a hash; later verifications do not fail for these.
 */
import * as Effect from "effect/Effect"
import { auditAcceptFact } from "../../domain/daemonFacts.ts"
import { findingId } from "../../domain/AuditVerifier.ts"
import { AuditLog } from "../audit/AuditLog.ts"

/** More would not fit into an entry. */
const maxFindings = 1000

/** Returns what was accepted. */
export const acceptFindings = Effect.gen(function* () {
  const audit = yield* AuditLog
  const { findings } = yield* audit.verify()
  const messages = [...new Set(findings.map(({ message }) => message))].slice(0, maxFindings)
  if (messages.length > 0) yield* audit.append([auditAcceptFact(messages.map(findingId))])
  yield* audit.forget(messages)
  return messages
})
