/** The flags of `secrets daemon`. */
import type { ArgsOf } from "../../command/Command.ts"

export const daemonFlags = {
  system: { type: "boolean", summary: "a system service, started at boot; needs root" },
  user: { type: "string", value: "NAME", summary: "with --system: the user it runs as" },
  group: { type: "string", value: "NAME", summary: "with --system: the group it runs as" },
  "socket-activation": {
    type: "boolean",
    summary: "install: let systemd open the socket (socket activation), so no connection is refused"
  },
  "dry-run": { type: "boolean", summary: "install, uninstall: print what would be done, and do nothing" },
  force: {
    type: "boolean",
    summary: "install, uninstall: replace edited files, kept as .bak; restart: also what was started by hand"
  },
  follow: { type: "boolean", short: "f", summary: "logs: print new lines as they come" },
  lines: { type: "string", short: "n", value: "N", summary: "logs: the number of lines (100)" }
} as const

export type DaemonArgs = ArgsOf<typeof daemonFlags>
