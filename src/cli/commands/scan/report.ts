/**
 * The report of a scan: a table for people, JSON for programs, and the exit status.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Output, Problem } from "../../command/Output.ts"
import { table } from "../../terminal/table.ts"
import { type ScanFinding, allowMarker } from "./Finding.ts"
import type { OwnValues } from "./ownValues.ts"
import type { Scanner } from "./Scanner.ts"

export interface ReportOptions {
  readonly paths: ReadonlyArray<string>
  readonly staged: boolean
  readonly recursive: boolean
  readonly excludes: ReadonlyArray<string>
  readonly own: OwnValues | undefined
  /** Why values of the store were not compared; "unwanted" with --no-own. */
  readonly notCompared: Problem | "unwanted" | undefined
}

export const scanReport = (scan: Scanner, options: ReportOptions): Output => {
  const { findings, unreadable } = scan
  return {
    lines: linesOf(scan, findings, options),
    result: {
      paths: options.paths,
      staged: options.staged,
      recursive: options.recursive,
      excludes: options.excludes,
      scanned_files: scan.files,
      scanned_bytes: scan.bytes,
      binary_files: scan.binary,
      findings,
      findings_not_shown: scan.omitted,
      unreadable,
      not_listed: scan.unlisted,
      own_values: {
        compared: options.own?.values ?? 0,
        too_short: options.own?.tooShort ?? [],
        left_out: options.own?.omitted ?? 0,
        not_compared_because: options.notCompared === "unwanted" ? "--no-own was given" : notComparedReason(options)
      }
    },
    problem: problemOf(scan, findings, options)
  }
}

const linesOf = (
  scan: Scanner,
  findings: ReadonlyArray<ScanFinding>,
  { own }: ReportOptions
): ReadonlyArray<string> => {
  const rows = findings.map(({ file, fingerprint, line, severity, what }) => [
    `${file}:${line}`,
    severity,
    what,
    fingerprint ?? ""
  ])
  const { omitted = 0, tooShort = [] } = own ?? {}
  return [
    ...(findings.length === 0
      ? [`nothing found in ${describeScope(scan)}`]
      : table(["FILE:LINE", "SEVERITY", "WHAT", "FINGERPRINT"], rows, { sentences: ["WHAT"] })),
    ...(scan.omitted === 0 ? [] : [`and ${scan.omitted} more`]),
    ...(tooShort.length === 0 ? [] : [`too short to search for: ${tooShort.map(escapeValue).join(", ")}`]),
    ...(omitted === 0 ? [] : [`${counted(omitted, "value", "was")} not searched for: too many values`]),
    ...scan.unlisted.map(
      ({ file, reason }) => `git did not list ${escapeValue(file)}, so all of it was scanned: ${reason}`
    ),
    ...scan.unreadable.map(({ file, reason }) => `not read: ${escapeValue(file)} (${reason})`)
  ]
}

const describeScope = ({ binary, bytes, files }: Scanner): string => {
  const size = bytes < 100_000 ? counted(bytes, "byte") : `${(bytes / 1e6).toFixed(1)} MB`
  return `${counted(files, "file")}, ${size}${binary === 0 ? "" : `; ${counted(binary, "binary file")} skipped`}`
}

/** Returns why values of the store were not compared; undefined if all were, or none was wanted. */
const notComparedReason = ({ notCompared, own }: ReportOptions): string | undefined => {
  if (typeof notCompared === "object") return notCompared.message
  return own === undefined || own.omitted === 0 ? undefined : "there are too many"
}

const problemOf = (
  scan: Scanner,
  findings: ReadonlyArray<ScanFinding>,
  options: ReportOptions
): Problem | undefined => {
  const reason = notComparedReason(options)
  const unread = `${counted(scan.unreadable.length, "file")} could not be read`
  const uncompared = `${options.own === undefined ? "the" : "some"} values of the store were not compared: ${reason}`
  const missed = [...(scan.unreadable.length === 0 ? [] : [unread]), ...(reason === undefined ? [] : [uncompared])]
  if (findings.length > 0) {
    const files = new Set(findings.map(({ file }) => file)).size
    const all = findings.length + scan.omitted
    return {
      message: `${counted(all, "possible secret")} in ${counted(files, "file")}, of ${describeScope(scan)}`,
      why: missed,
      fix: `Remove them, and rotate what others may have seen. For a false positive, add ${allowMarker} to its line`,
      code: "data_error",
      exitStatus: exitStatus.failed
    }
  }
  const [first, ...others] = missed
  if (first === undefined) return undefined
  const cause = typeof options.notCompared === "object" ? options.notCompared : undefined
  const message = `nothing found, but ${first}`
  return scan.unreadable.length > 0
    ? {
        message,
        why: others,
        fix: "Run it as a user who may read them, or skip them with --exclude",
        code: "io_error",
        exitStatus: exitStatus.incomplete
      }
    : {
        message,
        why: cause?.why,
        fix: [cause?.fix ?? [], "To search for patterns alone, add --no-own"].flat().join(". "),
        code: cause?.code ?? "data_error",
        exitStatus: exitStatus.notCompared
      }
}
