/**
 * What goes wrong with the service, as a failure of the command.
 */
import type { FileError } from "../../../daemon/files/durableFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { RolledBack } from "../../../service/applyPlan.ts"
import type { FileConflict } from "../../../service/servicePlan.ts"
import type { ToolFailed } from "../../../service/runTool.ts"
import { CommandError } from "../../command/CommandError.ts"

export const toolError = (error: ToolFailed): CommandError => ioError(error.message, error.fix, exitStatus.failed)

export const fileError = (error: FileError): CommandError =>
  ioError(error.message, "Look at the permissions of that place", exitStatus.cannotCreate)

export const rollbackError = (error: RolledBack): CommandError => ioError(error.message, error.fix, exitStatus.failed)

export const conflictError = (error: FileConflict): CommandError =>
  ioError(
    error.message,
    "Keep your changes in a drop-in (systemctl edit) or put them aside; --force goes on and keeps the file as .bak",
    exitStatus.refused
  )

/** The name of the system or an account that does not fit. */
export const unsupportedPlatform = (message: string, fix: string): CommandError =>
  ioError(message, fix, exitStatus.failed)

const ioError = (message: string, fix: string, status: number): CommandError =>
  new CommandError({ message, code: "io_error", fix, exitStatus: status })
