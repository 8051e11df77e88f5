/** `secrets delete` on a terminal: asks, then deletes. */
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { callForSecret } from "../../command/callForSecret.ts"
import { CommandError, failDeclined } from "../../command/CommandError.ts"
import { lookBeforeAsking } from "../../command/lookBeforeAsking.ts"
import { protocolProblem } from "../../command/problems.ts"
import { loadDaemon } from "../../command/settings.ts"
import { confirm } from "../../terminal/askOnTerminal.ts"
import { deleteCommand } from "./delete.ts"

export const askAndDelete = Effect.fnUntraced(function* (args: ArgsOf<typeof deleteCommand.flags>) {
  const [name = ""] = args.positionals
  const daemon = yield* loadDaemon(args)
  yield* lookBeforeAsking(daemon, name, "present")
  const isSure = yield* confirm(`Delete ${quote(name)}? There is no way back: its value is removed`)
  if (!isSure) return yield* failDeclined("nothing was deleted")
  const reply = yield* callForSecret(daemon, "secrets.delete", name, { name }, {})
  const output = deleteCommand.render([reply], { args, socketPath: daemon.socketPath })
  return output ?? (yield* new CommandError(protocolProblem("secrets.delete has an unexpected result")))
})
