/**
 * secrets audit --verify: what the chain of the audit log says, for people and for
 * programs; the exit status is 0 only if nothing was found.
 */
import * as Effect from "effect/Effect"
import { type AuditReport, verifyAuditLog } from "../../../daemon/audit/verifyAuditLog.ts"
import type { FileError } from "../../../daemon/files/durableFile.ts"
import type { Output, Problem } from "../../command/Output.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { table } from "../../terminal/table.ts"

export const auditVerifyReport = Effect.fnUntraced(function* (auditPath: string) {
  const report = yield* Effect.mapError(verifyAuditLog(auditPath), unreadable)
  if (report.files.length === 0 && !report.isEndKnown) {
    return yield* new CommandError({
      message: `there is no audit log at ${auditPath}`,
      code: "io_error",
      fix: "The daemon makes one when it starts; --config or audit_path tell where",
      exitStatus: exitStatus.failed
    })
  }
  const { files, findings, first, hash, last, ...counts } = report
  const output: Output = {
    text: describe(report),
    result: { verified: findings.length === 0, files, ...counts, first, last, hash, findings },
    problem: findings.length === 0 ? undefined : damaged(report)
  }
  return output
})

const describe = ({ isEndKnown, entries, files, findings, first, hash, last, unchained }: AuditReport): string =>
  [
    `${entries} chained entries in ${files.join(", ")}`,
    ...(entries === 0 ? [] : [`from number ${first} to number ${last}, whose hash is ${hash}`]),
    ...(unchained === 0 ? [] : [`${unchained} lines of another program`]),
    ...(isEndKnown ? [] : ["audit.head.json is not there or not readable: entries cut off at the end would not show"]),
    ...(findings.length === 0 ? ["as it was written"] : ["", findingsTable(findings).trimEnd()]),
    ""
  ].join("\n")

const findingsTable = (findings: AuditReport["findings"]): string =>
  table(
    ["", "WHERE", "WHAT"],
    findings.map(({ file, kind, line, message }) => [kind.toUpperCase(), `${file}:${line}`, message]),
    { whole: ["WHERE", "WHAT"] }
  )

const damaged = ({ findings }: AuditReport): Problem => ({
  message: `the audit log is not as it was written (${[...new Set(findings.map(({ kind }) => kind))].join(", ")})`,
  code: "data_error",
  fix: "Compare it with a copy. What is missing cannot be made again; the daemon goes on behind it",
  exitStatus: exitStatus.failed
})

const unreadable = (fault: FileError): CommandError =>
  fault.code === "EACCES"
    ? new CommandError({
        message: fault.message,
        code: "io_error",
        fix: "The log is for the daemon's own account; run this as that user",
        exitStatus: exitStatus.permission
      })
    : new CommandError({
        message: fault.message,
        code: "io_error",
        fix: "Look at what is wrong with that place",
        exitStatus: exitStatus.failed
      })
