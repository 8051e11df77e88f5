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
  /** Why the values of the store were not compared. */
  readonly notCompared: string | undefined
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
        not_compared_because: options.notCompared
      }
    },
    problem: problemOf(scan, findings)
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

const problemOf = (scan: Scanner, findings: ReadonlyArray<ScanFinding>): Problem | undefined => {
  if (findings.length > 0) {
    const files = new Set(findings.map(({ file }) => file)).size
    const all = findings.length + scan.omitted
    return {
      message: `${counted(all, "possible secret")} in ${counted(files, "file")}, of ${describeScope(scan)}`,
      why: scan.unreadable.length === 0 ? undefined : `${counted(scan.unreadable.length, "file")} could not be read`,
      fix: `Remove them, and rotate what others may have seen. For a false positive, add ${allowMarker} to its line`,
      code: "data_error",
      exitStatus: exitStatus.failed
    }
  }
  if (scan.unreadable.length > 0) {
    return {
      message: `nothing found, but ${counted(scan.unreadable.length, "file")} could not be read`,
      fix: "Run it as a user who may read them, or skip them with --exclude",
      code: "io_error",
      exitStatus: exitStatus.incomplete
    }
  }
  return scan.ownError === undefined
    ? undefined
    : {
        message: "nothing found, but not all values of the store were compared",
        fix: "Scan again when the daemon runs: secrets status",
        code: "daemon_unavailable",
        exitStatus: exitStatus.incomplete
      }
}
