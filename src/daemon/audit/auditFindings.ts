/**
 * What is wrong with the log, the store or leases.json, and what a start adopted, as far as it is known.
 */
import * as Effect from "effect/Effect"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { auditFindingFact } from "../../domain/daemonFacts.ts"
import type { AuditLogError } from "./AuditLogError.ts"

/** Returns the members of `AuditLog` that report. Findings are recorded by `append`. */
export const auditFindings = (append: (facts: ReadonlyArray<AuditFact>) => Effect.Effect<unknown, AuditLogError>) => {
  const findings = new Set<string>()
  const adopted: Array<string> = []

  const report = Effect.fn("AuditLog.report")(function* (
    messages: ReadonlyArray<string>,
    recorded: ReadonlySet<string> = new Set()
  ) {
    for (const message of messages) {
      if (!findings.has(message)) yield* Effect.logWarning(`audit log: ${message}`)
      findings.add(message)
    }
    const unrecorded = messages.filter((message) => !recorded.has(message))
    yield* Effect.ignore(append(unrecorded.map(auditFindingFact)))
  })

  const reportAdoption = (details: string) =>
    Effect.suspend(() => {
      adopted.push(details)
      return Effect.logWarning(`audit log: adopted ${details}`)
    })

  const forget = (messages: ReadonlyArray<string>) =>
    Effect.sync(() => messages.forEach((message) => findings.delete(message)))
  return { adopted, findings, forget, report, reportAdoption }
}
