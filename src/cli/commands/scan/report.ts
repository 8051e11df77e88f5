/**
 * What a scan says: findings in a table for people, everything for programs, and
 * the exit status.
 */
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Output, Problem } from "../../command/Output.ts"
import { printable, table } from "../../terminal/table.ts"
import { allowMarker } from "./Finding.ts"
import type { ScanFinding } from "./Finding.ts"
import type { OwnValues } from "./ownValues.ts"
import type { Scan } from "./Scan.ts"

export interface ReportOptions {
  readonly paths: ReadonlyArray<string>
  readonly staged: boolean
  readonly recursive: boolean
  readonly excludes: ReadonlyArray<string>
  readonly own: OwnValues | undefined
  /** Why the store's own values were not compared, where they were to be. */
  readonly ownMissing: string | undefined
}

export const scanReport = (scan: Scan, asked: ReportOptions): Output => {
  const { findings, unreadable } = scan
  return {
    text: textOf(scan, findings, asked),
    result: {
      paths: asked.paths,
      staged: asked.staged,
      recursive: asked.recursive,
      excludes: asked.excludes,
      scanned_files: scan.files,
      scanned_bytes: scan.bytes,
      binary_files: scan.binary,
      findings,
      findings_not_shown: scan.unkept,
      unreadable,
      own_values: {
        compared: asked.own?.values ?? 0,
        too_short: asked.own?.tooShort ?? [],
        left_out: asked.own?.leftOut ?? 0,
        not_compared_because: asked.ownMissing
      }
    },
    problem: problemOf(scan, findings)
  }
}

const textOf = (scan: Scan, findings: ReadonlyArray<ScanFinding>, { own }: ReportOptions): string => {
  const rows = findings.map(({ file, fingerprint, line, severity, what }) => [
    `${file}:${line}`,
    severity,
    what,
    fingerprint ?? ""
  ])
  return [
    findings.length === 0
      ? `nothing found in ${scanned(scan)}\n`
      : table(["FILE:LINE", "SEVERITY", "WHAT", "FINGERPRINT"], rows),
    scan.unkept === 0 ? "" : `and ${scan.unkept} more\n`,
    own === undefined || own.tooShort.length === 0
      ? ""
      : `too short to be searched for: ${own.tooShort.map(printable).join(", ")}\n`,
    own === undefined || own.leftOut === 0 ? "" : `${own.leftOut} values were left out: there are too many\n`,
    ...scan.unreadable.map(({ file, reason }) => `not read: ${printable(file)} (${reason})\n`)
  ].join("")
}

const scanned = ({ binary, bytes, files }: Scan): string => {
  const size = bytes < 100_000 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`
  return `${count(files, "file")}, ${size}${binary === 0 ? "" : `; ${count(binary, "binary file")} passed over`}`
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`

const problemOf = (scan: Scan, findings: ReadonlyArray<ScanFinding>): Problem | undefined => {
  if (findings.length > 0) {
    const files = new Set(findings.map(({ file }) => file)).size
    const all = findings.length + scan.unkept
    return {
      message: `${count(all, "possible secret")} in ${count(files, "file")}, of ${scanned(scan)}`,
      why: scan.unreadable.length === 0 ? undefined : `${count(scan.unreadable.length, "file")} could not be read`,
      fix: `Take them out, and rotate what others may have seen. What is none: put ${allowMarker} into a comment on its line`,
      code: "data_error",
      exitStatus: exitStatus.failed
    }
  }
  if (scan.unreadable.length > 0) {
    return {
      message: `nothing found, but ${count(scan.unreadable.length, "file")} could not be read`,
      fix: "Run it as a user who may read them, or pass them over with --exclude",
      code: "io_error",
      exitStatus: exitStatus.incomplete
    }
  }
  return scan.ownLost === undefined
    ? undefined
    : {
        message: "nothing found, but the values of the store were compared in part only",
        fix: "Scan again when the daemon is there: secrets status",
        code: "daemon_unavailable",
        exitStatus: exitStatus.incomplete
      }
}
