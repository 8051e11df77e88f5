/**
 * Keeps programs from answering for a person by accident. It is no wall: a program of the same
 * account can open a terminal, or ask the daemon itself.
 */
import * as Effect from "effect/Effect"
import { agentVariable } from "../../../domain/agentVariables.ts"
import { failUsage } from "../../command/CommandError.ts"

/** Rejects a command without a terminal on standard input, and under a variable that agents set. */
export const requirePerson = (command: string) =>
  Effect.suspend(() => {
    const agent = agentVariable(process.env)
    if (agent !== undefined) {
      return failUsage(
        `${command} is for a person, and ${agent} is set, which agents set`,
        "Run it in your own terminal"
      )
    }
    return process.getBuiltinModule("node:tty").isatty(0)
      ? Effect.void
      : failUsage(`${command} is for a person: standard input must be a terminal`, "Run it in your own terminal")
  })
