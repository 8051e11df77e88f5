/**
 * The section `helpers` of config.json, decoded as the daemon decodes it. It loads the schema of the
 * whole file, so a helper without targets does not need it.
 */
import * as Result from "effect/Result"
import { decodeConfig } from "../../../domain/Config.ts"
import type { HelperTargets } from "../../../domain/HelperConfig.ts"
import { configError } from "../../command/settingsFile.ts"
import type { Problem } from "../../command/Output.ts"

/** Returns the targets, or what is wrong with the file. */
export const decodeTargets = (settings: {
  readonly text: string
  readonly home: string
  readonly file: string
}): { readonly targets: HelperTargets | undefined } | Problem => {
  const decoded = decodeConfig(settings.text, settings.home, process.env)
  return Result.isSuccess(decoded)
    ? { targets: decoded.success.config.helpers }
    : configError(`${decoded.failure.message} (${settings.file})`, `Correct ${settings.file}`)
}
