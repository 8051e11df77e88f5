/**
 * Maps the errors of a daemon's start to command errors. Each permanent cause has its
 * own exit status, so that a supervisor can distinguish them.
 */
import type { SocketServerError } from "effect/socket/SocketServer"
import { isAbsolute } from "node:path"
import type { AuditLogError } from "../../../daemon/audit/AuditLogError.ts"
import type { FileError } from "../../../daemon/files/durableFile.ts"
import type { SecretStoreError } from "../../../daemon/secrets/OpenedStore.ts"
import type { AgeError } from "../../../daemon/secrets/ageFile.ts"
import type { StoreUnreadable } from "../../../daemon/secrets/storeFiles.ts"
import type { StartError } from "../../../daemon/files/fileLock.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { systemErrorText } from "../../../domain/systemError.ts"
import { CommandError } from "../../command/CommandError.ts"
import { explainAccess } from "../../command/ownership.ts"

export const startFailure = (
  error: StartError | StoreUnreadable | SecretStoreError | AuditLogError | FileError | AgeError | SocketServerError
): CommandError => {
  switch (error._tag) {
    case "StartError":
      return failure(error.reason, error.fix, error.exitStatus)
    case "StoreUnreadable":
      return failure(`${error.message}. Nothing was changed`, error.fix, exitStatus.unreadableStore)
    case "SocketServerError":
      return failure(
        `cannot listen on the socket: ${error.reason.cause instanceof Error ? systemErrorText(error.reason.cause) : ""}`,
        "Choose another path with --socket",
        exitStatus.cannotCreate
      )
    case "SecretStoreError":
    case "AuditLogError":
      return fileFailure(error.message, error.cause)
    case "AgeError":
    case "FileError":
      return fileFailure(error.message, error)
  }
}

/** Errors of what is at a path; our own, such as a pipe in place of a file, have no code. */
const wrongPaths: ReadonlySet<string> = new Set(["", "EISDIR", "ENOTDIR", "ELOOP", "ENAMETOOLONG"])

/** Names the owner of a file that this user may not use, and how to become its owner. */
const fileFailure = (message: string, cause: AgeError | AuditLogError["cause"]): CommandError => {
  const code = cause._tag === "FileError" ? cause.code : "other"
  const hint = wrongPaths.has(code)
    ? "Move that away, or name another path in config.json"
    : code === "ENOENT"
      ? "Create the directory, or name another path in config.json"
      : "Check the permissions and the free space there"
  const problem = { message, code: "io_error", fix: hint, exitStatus: exitStatus.cannotCreate }
  const isDenied = cause._tag === "FileError" && ["EACCES", "EPERM"].includes(code) && isAbsolute(cause.path)
  return new CommandError(isDenied ? explainAccess({ ...problem, denied: cause.path }) : problem)
}

const failure = (message: string, fix: string, status: number): CommandError =>
  new CommandError({ message, code: "io_error", fix, exitStatus: status })
