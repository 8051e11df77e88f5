/**
 * A question as a command: asked until the daemon is there, within `--timeout`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ask } from "../rpc/client.ts"
import type { Command, Definition, Flags } from "./Command.ts"
import { define } from "./Command.ts"
import { Failure, fromClient } from "./Failure.ts"
import { badAnswer } from "./problems.ts"
import type { Question } from "./Question.ts"
import { isProblem } from "./Question.ts"
import { loadDaemon } from "./settings.ts"

/** `more` is run where the line is more than a question. */
export const answering = <F extends Flags, R = never>(
  question: Question<F>,
  more?: Definition<F, R>["run"]
): Command<R> =>
  define({
    ...question,
    run: Effect.fnUntraced(function* (line) {
      const requests = question.ask(line)
      if (requests === undefined) return yield* more === undefined ? Effect.die("nothing to ask") : more(line)
      if (isProblem(requests)) return yield* new Failure(requests)
      const daemon = yield* loadDaemon(line)
      const results = yield* Effect.forEach(requests, ({ method, optional, params }) => {
        const asked = Effect.mapError(ask(daemon, method, params), fromClient)
        return optional === true ? Effect.map(Effect.option(asked), Option.getOrUndefined) : asked
      })
      const output = question.tell(results, { line, socketPath: daemon.socketPath })
      return output ?? (yield* new Failure(badAnswer(`${requests[0]?.method} has an unexpected result`)))
    })
  })
