/**
 * recordRefusal: what no program of the daemon came to hear of is in the audit log
 * all the same. The refusal stands if that fails.
 *
 * The client is told what it sent; the log keeps nothing of it that may be a value.
 */
import * as Effect from "effect/Effect"
import { AuditLog } from "../../daemon/audit/AuditLog.ts"
import { requestRefusedFact } from "../../domain/AuditEntry.ts"

export const auditRefusal = (method: string, reason: string) =>
  AuditLog.use((audit) =>
    Effect.ignore(audit.append([requestRefusedFact(methodName.test(method) ? method : "(no method)", reason)]))
  )

/** Whatever else stands in a method's place may be anything. */
const methodName = /^(secrets|daemon)\.[a-zA-Z]{1,30}$/
