/**
 * secrets daemon: the daemon as a service of launchd or systemd. Each subcommand is loaded on demand.
 */
import * as Effect from "effect/Effect"
import { defineCommand } from "../../command/Command.ts"
import { type CommandError, failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { type DaemonArgs, daemonFlags } from "./daemonFlags.ts"

type Subcommand = (args: DaemonArgs) => Effect.Effect<Output, CommandError>

const subcommands: Readonly<Record<string, () => Promise<Subcommand>>> = {
  install: () => import("./installService.ts").then((file) => file.installService),
  uninstall: () => import("./installService.ts").then((file) => file.uninstallService),
  status: () => import("./serviceStatus.ts").then((file) => file.serviceStatus),
  start: () => import("./controlService.ts").then((file) => file.startService),
  stop: () => import("./controlService.ts").then((file) => file.stopService),
  restart: () => import("./controlService.ts").then((file) => file.restartService),
  logs: () => import("./controlService.ts").then((file) => file.serviceLogs)
}

export const daemonCommand = defineCommand({
  name: "daemon",
  summary: "Run the daemon under launchd or systemd; restart it",
  positionals: Object.keys(subcommands).join(" | "),
  arity: [1, 1],
  completes: Object.keys(subcommands),
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
    const [name = ""] = args.positionals
    const load = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
    if (load === undefined)
      return yield* failUsage(`unknown subcommand ${JSON.stringify(name)}`, "See: secrets daemon --help")
    return yield* (yield* Effect.promise(load))(args)
  })
})
