/**
 * What goes wrong with the service, as a failure of the command.
 */
import type { FileFault } from "../../../daemon/files/durableFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { GivenUp } from "../../../service/carryOut.ts"
import type { FileInTheWay } from "../../../service/servicePlan.ts"
import type { ToolFailed } from "../../../service/runTool.ts"
import { exitCode } from "../../command/exitCode.ts"
import { Failure } from "../../command/Failure.ts"

export const fromTool = (error: ToolFailed): Failure => ioError(error.message, error.fix, exitCode.failed)

export const fromFile = (error: FileFault): Failure =>
  ioError(error.message, "Look at the permissions of that place", exitStatus.cannotCreate)

export const fromGivenUp = (error: GivenUp): Failure => ioError(error.message, error.fix, exitCode.failed)

export const fromFileInTheWay = (error: FileInTheWay): Failure =>
  ioError(
    error.message,
    "Keep your changes in a drop-in (systemctl edit) or put them aside; --force goes on and keeps the file as .bak",
    exitCode.refused
  )

/** The name of the system or an account that does not fit. */
export const unsupported = (message: string, fix: string): Failure => ioError(message, fix, exitCode.failed)

const ioError = (message: string, fix: string, status: number): Failure =>
  new Failure({ message, code: "io_error", fix, exitCode: status })
