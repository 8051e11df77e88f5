/**
 * secrets daemon: the daemon as a service of launchd or systemd, and its restart.
 */
import * as Effect from "effect/Effect"
import { define } from "./Command.ts"
import { serviceLogs, startService, stopService } from "./daemonControl.ts"
import { daemonFlags } from "./daemonFlags.ts"
import { install, uninstall } from "./daemonInstall.ts"
import { restart } from "./daemonRestart.ts"
import { serviceStatus } from "./daemonStatus.ts"
import { misuse } from "./Failure.ts"

export const daemon = define({
  name: "daemon",
  summary: "Have launchd or systemd keep the daemon alive; start it afresh",
  operands: "install | uninstall | status | start | stop | restart | logs",
  arity: [1, 1],
  completes: ["install", "uninstall", "status", "start", "stop", "restart", "logs"],
  flags: daemonFlags,
  examples: [
    "secrets daemon install --dry-run",
    "secrets daemon install",
    "secrets daemon status",
    "secrets daemon restart",
    "secrets daemon logs -f",
    "sudo secrets daemon install --system --user agent"
  ],
  run: Effect.fnUntraced(function* (line) {
    const { operands } = line
    switch (operands[0]) {
      case "install":
        return yield* install(line)
      case "uninstall":
        return yield* uninstall(line)
      case "status":
        return yield* serviceStatus(line)
      case "start":
        return yield* startService(line)
      case "stop":
        return yield* stopService(line)
      case "restart":
        return yield* restart(line)
      case "logs":
        return yield* serviceLogs(line)
      default:
        return yield* misuse("there is no such thing to do with the daemon", "See: secrets daemon --help")
    }
  }, Effect.scoped)
})
