/**
 * The supervisor that a command line selects: of this user or, with --system, of the system.
 *
 * Root has no user service, and only root changes a system service. This file also converts
 * the errors of a service to errors of the command.
 */
import * as Effect from "effect/Effect"
import * as os from "node:os"
import * as path from "node:path"
import type { FileError } from "../../../daemon/files/durableFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { ToolFailed } from "../../../process/runTool.ts"
import { launchdSupervisor } from "../../../service/launchd.ts"
import { serviceDirectory } from "../../../service/serviceDirectory.ts"
import type { Supervisor } from "../../../service/Supervisor.ts"
import { systemdSupervisor } from "../../../service/systemd.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import type { DaemonArgs } from "./daemonFlags.ts"

export const ioError = (
  { fix, message }: { readonly message: string; readonly fix: string },
  status: number = exitStatus.failed
): CommandError => new CommandError({ message, code: "io_error", fix, exitStatus: status })

/** Returns why it is unknown what the supervisor has. */
export const cannotAsk = (supervisor: Supervisor, { fix, reason }: ToolFailed) => ({
  reason: `${supervisor.name} cannot be asked: ${reason}`,
  fix
})

export const fileError = ({ message }: FileError): CommandError =>
  ioError({ message, fix: "Check the permissions of that path" }, exitStatus.cannotCreate)

/** Fails without a home directory to install anything in. */
export const currentUser = Effect.suspend(() => {
  const user = lookUpUser()
  return path.isAbsolute(user.home)
    ? Effect.succeed(user)
    : ioError({
        message: "no home directory: HOME is not an absolute path",
        fix: "Set HOME to your home directory"
      })
})

const lookUpUser = () => {
  const HOME = process.env["HOME"]
  try {
    const { homedir, uid, username } = os.userInfo()
    return { uid, name: username, home: HOME || homedir }
  } catch {
    // The user database has no entry for this uid.
    const uid = process.getuid?.() ?? 0
    return { uid, name: String(uid), home: HOME ?? "" }
  }
}

/** Returns the supervisor that the flags select. Rejects a user who may not `change` files, unless in a dry run, and invalid flags. */
export const supervisorOf = Effect.fnUntraced(function* (args: DaemonArgs, purpose: "change" | "read") {
  const user = yield* currentUser
  const { home, uid } = user
  const system = args.flag("system")
  if (!system && (args.option("user") ?? args.option("group")) !== undefined)
    return yield* failUsage("--user and --group require --system", "Add --system, or omit them")
  if (!system && uid === 0 && purpose === "change") {
    return yield* failUsage(
      "root has no user service",
      "Run it as yourself without sudo, or for the system: secrets daemon install --system --user NAME"
    )
  }
  if (system && uid !== 0 && purpose === "change" && !args.flag("dry-run"))
    return yield* failUsage("changing a system service requires root", "Run it with sudo, or omit --system")
  const environment = process.env
  const directory = serviceDirectory(system ? "system" : "user", home)
  switch (process.platform) {
    case "darwin":
      return system
        ? launchdSupervisor({ uid: undefined, directory, environment })
        : launchdSupervisor({ uid, directory, environment })
    case "linux":
      return system
        ? systemdSupervisor({ user: undefined, directory, environment })
        : systemdSupervisor({ user, directory, environment })
    default:
      return yield* ioError({
        message: `no service for ${process.platform}: only launchd of macOS and systemd of Linux are supported`,
        fix: "Run it under another supervisor: secrets serve"
      })
  }
})
