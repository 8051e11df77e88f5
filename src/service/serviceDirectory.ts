/**
 * Where the files of a service lie, for this user and for the system.
 */
import * as path from "node:path"
import { launchdLabel, serviceUnit } from "./ServiceOptions.ts"

const isMac = process.platform === "darwin"

/** Returns the directory that the supervisor reads; `home` is the user's. */
export const serviceDirectory = (scope: "user" | "system", home: string): string => {
  if (scope === "system") return isMac ? "/Library/LaunchDaemons" : "/etc/systemd/system"
  return isMac ? path.join(home, "Library/LaunchAgents") : path.join(configHome(home), "systemd/user")
}

/** Returns the file that is there if the service is installed. */
export const serviceFile = (scope: "user" | "system", home: string): string =>
  path.join(serviceDirectory(scope, home), isMac ? `${launchdLabel}.plist` : serviceUnit)

const configHome = (home: string): string => {
  const xdg = process.env["XDG_CONFIG_HOME"] ?? ""
  return path.isAbsolute(xdg) ? xdg : path.join(home, ".config")
}
