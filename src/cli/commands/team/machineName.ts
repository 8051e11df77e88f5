/** The name that a machine gets in a team: --name, or the host name. */
import * as Effect from "effect/Effect"
import * as os from "node:os"
import { machineNamePattern } from "../../../domain/TeamConfig.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { TeamArgs } from "./teamFlags.ts"

export const machineName = Effect.fnUntraced(function* (args: TeamArgs) {
  const given = args.option("name") ?? os.hostname().split(".")[0]?.toLowerCase() ?? ""
  if (machineNamePattern.test(given)) return given
  return yield* failUsage("the name of the machine is not one of a-z, 0-9 and -", "Name it: --name m1")
})
