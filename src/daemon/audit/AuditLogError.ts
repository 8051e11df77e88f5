/**
 * The error of the audit log. Nothing was changed where an append fails.
 */
import * as Data from "effect/Data"
import type { TeamAway, TeamChanged } from "../../domain/Team.ts"
import type { FileError } from "../files/durableFile.ts"

/** Reading or writing the log failed. */
export class AuditLogError extends Data.TaggedError("AuditLogError")<{
  readonly operation: "append" | "read"
  readonly cause: FileError | TeamAway | TeamChanged
}> {
  override get message() {
    if (this.cause._tag !== "FileError") return this.cause.message
    return this.operation === "append"
      ? `nothing was changed, because the audit log is not writable: ${this.cause.message}`
      : `failed to read audit log: ${this.cause.message}`
  }
}

export const appendFailed = (cause: AuditLogError["cause"]) => new AuditLogError({ operation: "append", cause })
export const readFailed = (cause: FileError) => new AuditLogError({ operation: "read", cause })
