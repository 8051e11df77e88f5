/**
 * A question as a command: asked until the daemon is there, within `--timeout`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { request } from "../../rpc/client/client.ts"
import type { Command, CommandDefinition, Flags, ArgsOf } from "./Command.ts"
import { defineCommand } from "./Command.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { CommandError, fromClient } from "./CommandError.ts"
import { protocolProblem } from "./problems.ts"
import type { QueryCommand } from "./QueryCommand.ts"
import { isProblem } from "./QueryCommand.ts"
import { loadDaemon } from "./settings.ts"

/** `more` is run where the line is more than a question; `absence` says what is known where there is no daemon. */
export const fromQuery = <F extends Flags, R = never>(
  question: QueryCommand<F>,
  more?: CommandDefinition<F, R>["run"],
  absence?: (args: ArgsOf<F>) => Effect.Effect<string | undefined>
): Command<R> =>
  defineCommand({
    ...question,
    run: Effect.fnUntraced(function* (args) {
      const requests = question.requests(args)
      if (requests === undefined) return yield* more === undefined ? Effect.die("nothing to ask") : more(args)
      if (isProblem(requests)) return yield* new CommandError(requests)
      const daemon = yield* loadDaemon(args)
      const results = yield* Effect.forEach(requests, ({ method, optional, params }) => {
        const asked = request(daemon, method, params).pipe(
          Effect.mapError(fromClient),
          Effect.catchIf(
            ({ exitStatus: code }) => absence !== undefined && code === exitStatus.unavailable,
            (failure) => Effect.flatMap(absence?.(args) ?? Effect.undefined, (known) => withMore(failure, known))
          )
        )
        return optional === true ? Effect.map(Effect.option(asked), Option.getOrUndefined) : asked
      })
      const output = question.render(results, { args, socketPath: daemon.socketPath })
      return output ?? (yield* new CommandError(protocolProblem(`${requests[0]?.method} has an unexpected result`)))
    })
  })

const withMore = (failure: CommandError, known: string | undefined) =>
  // An error's message is not among what is spread.
  Effect.fail(
    known === undefined
      ? failure
      : new CommandError({ ...failure, message: failure.message, why: `${failure.why}; ${known}` })
  )
