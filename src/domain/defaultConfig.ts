/**
 * What applies without a config.json. Most people have none, and then no command loads the schema.
 */
import * as path from "node:path"
import type { Config } from "./Config.ts"
import { defaults, fileNames } from "./settingDefaults.ts"

/** Returns what Config.ts makes of an empty config.json. */
export const defaultConfig = (home: string): Config => {
  const directory = path.join(home, ".agent-secrets")
  const fileOf = (key: keyof typeof fileNames) => path.join(directory, fileNames[key])
  return {
    ...defaults,
    directory,
    socketPath: fileOf("socket_path"),
    identityPath: fileOf("identity_path"),
    secretsPath: fileOf("secrets_path"),
    auditPath: fileOf("audit_path"),
    leasesPath: fileOf("leases_path")
  }
}
