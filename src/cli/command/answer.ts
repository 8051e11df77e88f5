/**
 * A question as a command: asked until the daemon is there, within `--timeout`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ask } from "../../rpc/client/client.ts"
import type { Command, Definition, Flags, LineOf } from "./Command.ts"
import { define } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, fromClient } from "./Failure.ts"
import { badAnswer } from "./problems.ts"
import type { Question } from "./Question.ts"
import { isProblem } from "./Question.ts"
import { loadDaemon } from "./settings.ts"

/** `more` is run where the line is more than a question; `absence` says what is known where there is no daemon. */
export const answering = <F extends Flags, R = never>(
  question: Question<F>,
  more?: Definition<F, R>["run"],
  absence?: (line: LineOf<F>) => Effect.Effect<string | undefined>
): Command<R> =>
  define({
    ...question,
    run: Effect.fnUntraced(function* (line) {
      const requests = question.ask(line)
      if (requests === undefined) return yield* more === undefined ? Effect.die("nothing to ask") : more(line)
      if (isProblem(requests)) return yield* new Failure(requests)
      const daemon = yield* loadDaemon(line)
      const results = yield* Effect.forEach(requests, ({ method, optional, params }) => {
        const asked = ask(daemon, method, params).pipe(
          Effect.mapError(fromClient),
          Effect.catchIf(
            ({ exitCode: code }) => absence !== undefined && code === exitCode.unavailable,
            (failure) => Effect.flatMap(absence?.(line) ?? Effect.undefined, (known) => withMore(failure, known))
          )
        )
        return optional === true ? Effect.map(Effect.option(asked), Option.getOrUndefined) : asked
      })
      const output = question.tell(results, { line, socketPath: daemon.socketPath })
      return output ?? (yield* new Failure(badAnswer(`${requests[0]?.method} has an unexpected result`)))
    })
  })

const withMore = (failure: Failure, known: string | undefined) =>
  // An error's message is not among what is spread.
  Effect.fail(
    known === undefined
      ? failure
      : new Failure({ ...failure, message: failure.message, why: `${failure.why}; ${known}` })
  )
