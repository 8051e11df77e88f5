/**
 * The service as it is installed and at work, for the commands that look at it or
 * have it do something.
 */
import * as Effect from "effect/Effect"
import { readServiceFiles } from "../../../service/applyPlan.ts"
import { hasSocket } from "../../../service/servicePlan.ts"
import type { ServiceChoices } from "../../../service/stamp.ts"
import { readStamp } from "../../../service/stamp.ts"
import type { SupervisorShape } from "../../../service/Supervisor.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { fileError, toolError } from "./serviceErrors.ts"
import { supervisorOf } from "./serviceScope.ts"
import { loadDaemon } from "../../command/settings.ts"
import { renderService } from "./renderService.ts"

/** Undefined where nothing is installed, whatever the supervisor may know; it is not even asked. */
export const installedService = Effect.fnUntraced(function* (args: DaemonArgs) {
  // Where nobody has a service, a restart is asked of the daemon.
  if (process.platform !== "darwin" && process.platform !== "linux") return undefined
  const supervisor = yield* supervisorOf(args, "look")
  const found = yield* Effect.mapError(readServiceFiles(supervisor.places), fileError)
  const [main] = found
  if (main?.text === undefined) return undefined
  const choices = readStamp(main.text)?.choices
  const job = yield* Effect.mapError(supervisor.state, toolError)
  const daemon = yield* daemonOf(args, choices, supervisor)
  return { supervisor, found, job, choices, withSocket: hasSocket(found), daemon }
})

export type InstalledService = NonNullable<Effect.Success<ReturnType<typeof installedService>>>

/** The daemon of a service: where it was told to be when it was installed, for the user whom it runs as. */
export const daemonOf = Effect.fnUntraced(function* (
  args: DaemonArgs,
  choices: ServiceChoices | undefined,
  supervisor: SupervisorShape
) {
  const asked = yield* loadDaemon(args)
  if (choices === undefined || (args.option("socket") ?? args.option("config")) !== undefined) return asked
  const { config } = yield* renderService(choices, supervisor)
  return { ...asked, socketPath: config.socketPath }
})
