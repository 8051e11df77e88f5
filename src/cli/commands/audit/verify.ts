/**
 * secrets audit --verify: checks the hash chain of the audit log and prints what it
 * finds. The exit status is 0 only if the log is intact.
 */
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { auditNeighbours } from "../../../daemon/audit/auditEvidence.ts"
import { type AuditReport, verifyAuditLog } from "../../../daemon/audit/verifyAuditLog.ts"
import type { FileError } from "../../../daemon/files/durableFile.ts"
import type { AdoptedPart } from "../../../domain/AuditVerifier.ts"
import type { Config } from "../../../domain/Config.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import type { Output, Problem } from "../../command/Output.ts"
import { explainAccess } from "../../command/ownership.ts"
import { table } from "../../terminal/table.ts"

export const auditVerifyReport = Effect.fnUntraced(function* (config: Config, expected: string | undefined) {
  const { auditPath } = config
  const options = { beside: auditNeighbours(config), expected }
  const report = yield* Effect.mapError(verifyAuditLog(auditPath, options), unreadableLog)
  const { accepted, adopted, files, findings, first, hash, isEndKnown, last, recorded: _, ...counts } = report
  if (files.length === 0 && findings.length === 0 && !isEndKnown) return yield* noAuditLog(auditPath)
  const output: Output = {
    lines: describe(report),
    result: {
      verified: findings.length === 0,
      files,
      ...counts,
      adopted,
      accepted,
      endIsKnown: isEndKnown,
      first,
      last,
      hash,
      findings
    },
    problem: findings.length === 0 ? undefined : damaged(report)
  }
  return output
})

export const noAuditLog = (auditPath: string) =>
  new CommandError({
    message: `there is no audit log at ${escapeValue(auditPath)}`,
    code: "io_error",
    fix: "Start the daemon, which creates it, or name its settings with --config",
    exitStatus: exitStatus.failed
  })

const describe = (report: AuditReport): ReadonlyArray<string> => {
  const { accepted, adopted, entries, files, findings, first, hash, last, unchained } = report
  return [
    `${entries} chained entries in ${files.map(escapeValue).join(", ")}`,
    ...(entries === 0 ? [] : [`entries ${first} to ${last}; the last hash is ${hash}`]),
    ...(unchained === 0 ? [] : [`${counted(unchained, "line")} without a hash, written by another program`]),
    ...adopted.map(describePart),
    ...(accepted === 0 ? [] : [`accepted: ${counted(accepted, "finding")}; see: secrets audit --action audit_accept`]),
    ...(findings.length === 0 ? ["the log is intact"] : ["", ...findingsTable(findings)])
  ]
}

const describePart = ({ before, from, isOtherStore, lines, to }: AdoptedPart): string => {
  const where = before === undefined ? "which the next start adopts" : `adopted before entry ${before}`
  const store = isOtherStore ? "; secrets.age is another one since" : ""
  return `a part of the predecessor, ${counted(lines, "line")} from ${from} to ${to}, ${where}${store}`
}

const findingsTable = (findings: AuditReport["findings"]): ReadonlyArray<string> =>
  table(
    ["", "WHERE", "WHAT"],
    findings.map(({ file, kind, line, message }) => [
      kind.toUpperCase(),
      line === 0 ? file : `${file}:${line}`,
      message
    ]),
    { whole: ["WHERE", "WHAT"], sentences: ["WHAT"] }
  )

const damaged = ({ findings }: AuditReport): Problem => {
  const kinds = [...new Set(findings.map(({ kind }) => kind))]
  const isStoreOnly = kinds.length === 1 && kinds[0] === "store"
  return {
    message: `the audit log is damaged: ${kinds.join(", ")}`,
    code: "data_error",
    fix: isStoreOnly
      ? "Put the right secrets.age back. If you restored this one, start the daemon, then run: secrets audit --accept"
      : "Compare it with a backup. If you know the cause, start the daemon, then run: secrets audit --accept",
    exitStatus: exitStatus.failed
  }
}

export const unreadableLog = ({ code, message, path: denied }: FileError): CommandError =>
  new CommandError(
    code === "EACCES"
      ? explainAccess({
          message,
          code: "io_error",
          fix: "Run this as the daemon's user",
          exitStatus: exitStatus.permission,
          denied
        })
      : { message, code: "io_error", fix: "Check the file and its directory", exitStatus: exitStatus.failed }
  )
