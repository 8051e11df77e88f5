/**
 * The service as it is installed and at work, for the commands that look at it or
 * have it do something.
 */
import * as Effect from "effect/Effect"
import { readFound } from "../service/carryOut.ts"
import { hasSocket } from "../service/servicePlan.ts"
import { readStamp } from "../service/stamp.ts"
import type { DaemonLine } from "./daemonFlags.ts"
import { fromFile, fromTool } from "./serviceFailure.ts"
import { supervisorOf } from "./serviceScope.ts"

/** Undefined where nothing is installed, whatever the supervisor may know; it is not even asked. */
export const installedService = Effect.fnUntraced(function* (line: DaemonLine) {
  // Where nobody has a service, a restart is asked of the daemon.
  if (process.platform !== "darwin" && process.platform !== "linux") return undefined
  const supervisor = yield* supervisorOf(line, "look")
  const found = yield* Effect.mapError(readFound(supervisor.places), fromFile)
  const [main] = found
  if (main?.text === undefined) return undefined
  const choices = readStamp(main.text)?.choices
  const job = yield* Effect.mapError(supervisor.state, fromTool)
  return { supervisor, found, job, choices, withSocket: hasSocket(found), line: withChoices(line, choices) }
})

/** The line, with the paths that were chosen when the service was installed, where it names none itself. */
export const withChoices = (
  line: DaemonLine,
  choices: { readonly config?: string; readonly socket?: string } | undefined
): DaemonLine => ({
  ...line,
  text: (flag) =>
    line.text(flag) ?? (flag === "config" ? choices?.config : flag === "socket" ? choices?.socket : undefined)
})
