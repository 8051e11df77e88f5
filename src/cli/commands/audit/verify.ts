/**
 * secrets audit --verify: checks the hash chain of the audit log and prints what it
 * finds. The exit status is 0 only if the log is intact.
 */
import * as Effect from "effect/Effect"
import { escapeValue } from "../../../domain/escape.ts"
import { type AuditReport, verifyAuditLog } from "../../../daemon/audit/verifyAuditLog.ts"
import type { FileError } from "../../../daemon/files/durableFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import type { Output, Problem } from "../../command/Output.ts"
import { table } from "../../terminal/table.ts"

export const auditVerifyReport = Effect.fnUntraced(function* (auditPath: string) {
  const report = yield* Effect.mapError(verifyAuditLog(auditPath), unreadable)
  const { files, findings, first, hash, isEndKnown, last, ...counts } = report
  if (files.length === 0 && !isEndKnown) {
    return yield* new CommandError({
      message: `there is no audit log at ${auditPath}`,
      code: "io_error",
      fix: "Start the daemon, which creates it, or name its settings with --config",
      exitStatus: exitStatus.failed
    })
  }
  const output: Output = {
    lines: describe(report),
    result: { verified: findings.length === 0, files, ...counts, endIsKnown: isEndKnown, first, last, hash, findings },
    problem: findings.length === 0 ? undefined : damaged(report)
  }
  return output
})

const describe = ({
  isEndKnown,
  entries,
  files,
  findings,
  first,
  hash,
  last,
  unchained
}: AuditReport): ReadonlyArray<string> => [
  `${entries} chained entries in ${files.map(escapeValue).join(", ")}`,
  ...(entries === 0 ? [] : [`entries ${first} to ${last}; the last hash is ${hash}`]),
  ...(unchained === 0 ? [] : [`${unchained} lines without a hash, written by another program`]),
  ...(isEndKnown ? [] : ["audit.head.json is missing or unreadable: a truncated end cannot be detected"]),
  ...(findings.length === 0 ? ["the log is intact"] : ["", ...findingsTable(findings)])
]

const findingsTable = (findings: AuditReport["findings"]): ReadonlyArray<string> =>
  table(
    ["", "WHERE", "WHAT"],
    findings.map(({ file, kind, line, message }) => [kind.toUpperCase(), `${file}:${line}`, message]),
    { whole: ["WHERE", "WHAT"], sentences: ["WHAT"] }
  )

const damaged = ({ findings }: AuditReport): Problem => ({
  message: `the audit log is damaged: ${[...new Set(findings.map(({ kind }) => kind))].join(", ")}`,
  code: "data_error",
  fix: "Compare it with a backup. Missing entries cannot be restored; the daemon continues after them",
  exitStatus: exitStatus.failed
})

const unreadable = ({ code, message }: FileError): CommandError =>
  new CommandError(
    code === "EACCES"
      ? { message, code: "io_error", fix: "Run this as the daemon's user", exitStatus: exitStatus.permission }
      : { message, code: "io_error", fix: "Check the file and its directory", exitStatus: exitStatus.failed }
  )
