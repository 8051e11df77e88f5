/**
 * The error of the audit log. Nothing was changed where an append fails.
 */
import * as Schema from "effect/Schema"
import { TeamAway, TeamChanged } from "../../domain/Team.ts"
import { FileError } from "../files/durableFile.ts"

/** Reading or writing the log failed. */
export class AuditLogError extends Schema.TaggedError<AuditLogError>()("AuditLogError", {
  operation: Schema.Literals(["append", "read"]),
  cause: Schema.Union([FileError, TeamAway, TeamChanged])
}) {
  override get message() {
    if (this.cause._tag !== "FileError") return this.cause.message
    return this.operation === "append"
      ? `nothing was changed, because the audit log is not writable: ${this.cause.message}`
      : `failed to read audit log: ${this.cause.message}`
  }
}

export const appendFailed = (cause: AuditLogError["cause"]) => new AuditLogError({ operation: "append", cause })
export const readFailed = (cause: FileError) => new AuditLogError({ operation: "read", cause })
