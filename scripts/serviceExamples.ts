/**
 * The examples in launchd/ and systemd/: what `secrets daemon install` writes for the user YOU.
 * `npm run docs` writes them, and a test compares them.
 */
import { launchdPlist } from "../src/service/launchdPlist.ts"
import { type ServiceOptions, launchdLabel, serviceUnit, socketUnit } from "../src/service/ServiceOptions.ts"
import { systemdService, systemdSocket } from "../src/service/systemdUnits.ts"

const mac: ServiceOptions = {
  runtime: "/opt/homebrew/bin/node",
  program: "/Users/YOU/.local/bin/secrets",
  arguments: [],
  home: "/Users/YOU",
  log: "/Users/YOU/Library/Logs/agent-secrets.log",
  account: undefined,
  writable: ["/Users/YOU/.agent-secrets"],
  socket: undefined
}

const macSystem: ServiceOptions = {
  ...mac,
  program: "/usr/local/bin/secrets",
  home: "/Users/agent",
  log: "/Users/agent/.agent-secrets/daemon.log",
  account: { user: "agent", group: "agent-secrets" },
  writable: ["/Users/agent/.agent-secrets"]
}

const linux: ServiceOptions = {
  runtime: "/usr/bin/node",
  program: "/home/YOU/.local/bin/secrets",
  arguments: [],
  home: "/home/YOU",
  log: "",
  account: undefined,
  writable: ["/home/YOU/.agent-secrets"],
  socket: undefined
}

const socket = { path: "/home/YOU/.agent-secrets/agent-secrets.sock", group: undefined }
const linuxSocket: ServiceOptions = { ...linux, socket }

const linuxSystem: ServiceOptions = {
  ...linux,
  program: "/usr/local/bin/secrets",
  home: "/var/lib/agent",
  account: { user: "agent", group: "agent-secrets" },
  writable: ["/var/lib/agent/.agent-secrets"]
}

/** Each with its path in the repository. */
export const examples: ReadonlyArray<readonly [file: string, text: string]> = [
  [`launchd/${launchdLabel}.plist`, launchdPlist(mac)],
  [`launchd/system/${launchdLabel}.plist`, launchdPlist(macSystem)],
  [`systemd/user/${serviceUnit}`, systemdService(linux)],
  [`systemd/user-with-socket/${serviceUnit}`, systemdService(linuxSocket)],
  [`systemd/user-with-socket/${socketUnit}`, systemdSocket(linuxSocket, socket)],
  [`systemd/system/${serviceUnit}`, systemdService(linuxSystem)]
]
