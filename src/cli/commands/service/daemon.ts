/**
 * secrets daemon: the daemon as a service of launchd or systemd, and its restart. Each
 * of it is loaded when it is asked for, and none of it for the help.
 */
import * as Effect from "effect/Effect"
import { defineCommand } from "../../command/Command.ts"
import { daemonFlags } from "./daemonFlags.ts"
import { failUsage } from "../../command/CommandError.ts"

export const daemonCommand = defineCommand({
  name: "daemon",
  summary: "Have launchd or systemd keep the daemon alive; start it afresh",
  positionals: "install | uninstall | status | start | stop | restart | logs",
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
  run: Effect.fnUntraced(function* (args) {
    const { positionals } = args
    switch (positionals[0]) {
      case "install":
        return yield* (yield* Effect.promise(() => import("./daemonInstall.ts"))).installService(args)
      case "uninstall":
        return yield* (yield* Effect.promise(() => import("./daemonInstall.ts"))).uninstallService(args)
      case "status":
        return yield* (yield* Effect.promise(() => import("./daemonStatus.ts"))).serviceStatus(args)
      case "start":
        return yield* (yield* Effect.promise(() => import("./daemonControl.ts"))).startService(args)
      case "stop":
        return yield* (yield* Effect.promise(() => import("./daemonControl.ts"))).stopService(args)
      case "restart":
        return yield* (yield* Effect.promise(() => import("./daemonRestart.ts"))).restartService(args)
      case "logs":
        return yield* (yield* Effect.promise(() => import("./daemonControl.ts"))).serviceLogs(args)
      default:
        return yield* failUsage("there is no such thing to do with the daemon", "See: secrets daemon --help")
    }
  }, Effect.scoped)
})
