/**
 * The flags of `secrets daemon`. The help reads them, so this file loads nothing else.
 */
import type { Flags, ArgsOf } from "../../command/Command.ts"

export const daemonFlags = {
  system: { type: "boolean", summary: "a system service, started at boot; needs root" },
  user: { type: "string", value: "NAME", summary: "with --system: the user it runs as" },
  group: { type: "string", value: "NAME", summary: "with --system: the group it runs as" },
  "socket-activation": {
    type: "boolean",
    summary: "install: systemd opens the socket, so that no connection is refused"
  },
  "dry-run": { type: "boolean", summary: "install, uninstall: print what would be done, and do nothing" },
  force: { type: "boolean", summary: "install, uninstall: replace edited files; they are kept as .bak" },
  follow: { type: "boolean", short: "f", summary: "logs: print new lines as they come" },
  lines: { type: "string", short: "n", value: "N", summary: "logs: the number of lines (100)" }
} as const satisfies Flags

export type DaemonArgs = ArgsOf<typeof daemonFlags>
