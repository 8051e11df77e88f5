/**
 * The flags of `secrets daemon`, and its line as its subcommands read it.
 */
import type { Flags, ArgsOf } from "../../command/Command.ts"

export const daemonFlags = {
  system: { type: "boolean", summary: "a service of the system, from the boot on; needs root" },
  user: { type: "string", value: "NAME", summary: "with --system: the user it runs as" },
  group: { type: "string", value: "NAME", summary: "with --system: the group it runs as" },
  "socket-activation": {
    type: "boolean",
    summary: "install: systemd keeps the socket, so that no connection is refused"
  },
  "dry-run": { type: "boolean", summary: "install, uninstall: tell what would be done, and do nothing" },
  force: { type: "boolean", summary: "install, uninstall: edited files too; they stay as .bak" },
  follow: { type: "boolean", short: "f", summary: "logs: go on with what comes" },
  lines: { type: "string", short: "n", value: "N", summary: "logs: how many of the last lines (100)" }
} as const satisfies Flags

export type DaemonArgs = ArgsOf<typeof daemonFlags>
