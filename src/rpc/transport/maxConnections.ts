/**
 * How many connections the daemon accepts: as many as its limit of open files allows,
 * less what its own work needs.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { connectionLimit, spareFiles } from "../protocol/limits.ts"

/** Counts on being called when the daemon has opened everything but connections. */
export const maxConnections = (): number => {
  const files = maxFiles()
  if (files === undefined) return connectionLimit
  const left = files - openFiles() - Math.min(spareFiles, Math.floor(files / 8))
  return Math.max(1, Math.min(connectionLimit, left))
}

/** Returns undefined if there is no limit. Node's report has the limit as well, but takes longer to make. */
const maxFiles = (): number | undefined => {
  try {
    const [, soft] = /^Max open files +(\d+) /m.exec(fs.readFileSync("/proc/self/limits", "latin1")) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    const report = decodeReport(process.report.getReport())
    const files = Option.isSome(report) ? report.value.userLimits.open_files.soft : undefined
    return typeof files === "number" ? files : undefined
  }
}

const openFiles = (): number => {
  try {
    return fs.readdirSync("/dev/fd").length
  } catch {
    return spareFiles
  }
}

const decodeReport = Schema.decodeUnknownOption(
  Schema.Struct({
    userLimits: Schema.Struct({ open_files: Schema.Struct({ soft: Schema.Union([Schema.Number, Schema.String]) }) })
  })
)
