/**
 * Runs a command that only asks, without loading anything for it: one connection to
 * the daemon, and the answer printed. Scripts ask for the version as well.
 *
 * This is how nearly every call ends. When it is another command, its line is wrong,
 * or the daemon is not there at once, everything is loaded and that goes on. Nothing
 * has happened then that would not be repeated.
 */
import { exchange, requestLine, tooMuch } from "../rpc/client/exchange.ts"
import { noReply, readReply } from "../rpc/protocol/reply.ts"
import { version } from "../version.ts"
import type { Flags } from "./command/Command.ts"
import { nameAt, read } from "./command/Command.ts"
import { completions } from "./commands/completions/completions.ts"
import { daemonAddress } from "./command/daemonAddress.ts"
import { deleteCommand } from "./commands/delete.ts"
import { health } from "./commands/health.ts"
import { lease } from "./commands/lease.ts"
import { list } from "./commands/list.ts"
import type { Problem } from "./command/Output.ts"
import { leave, print, printOutput, printProblem } from "./command/Output.ts"
import { badAnswer, noAnswer, refused } from "./command/problems.ts"
import type { Question } from "./command/Question.ts"
import { isProblem } from "./command/Question.ts"
import { revoke } from "./commands/revoke/revoke.ts"
import { status } from "./commands/status/status.ts"

/** Runs the line, or has it run by `otherwise`. */
export const quick = (args: ReadonlyArray<string>, otherwise: (maybeHeard: boolean) => void): void => {
  const at = nameAt(args)
  const rest = [...args.slice(0, at), ...args.slice(at + 1)]
  switch (args[at]) {
    case "lease":
      return run(lease, rest, otherwise)
    case "status":
      return run(status, rest, otherwise)
    case "revoke":
      return run(revoke, rest, otherwise)
    case "list":
      return run(list, rest, otherwise)
    case "health":
      return run(health, rest, otherwise)
    case "delete":
    case "rm":
      return run(deleteCommand, rest, otherwise)
    case "completions":
      return run(completions, rest, otherwise)
    case undefined:
      return args.join(" ") === "--version" ? printVersion() : otherwise(false)
    default:
      return otherwise(false)
  }
}

const run = <F extends Flags>(
  question: Question<F>,
  args: ReadonlyArray<string>,
  otherwise: (maybeHeard: boolean) => void
): void => {
  const reading = read(question, args)
  if (reading.wants !== "run") return otherwise(false)
  const { json, line } = reading
  const requests = question.ask(line)
  const address = daemonAddress(line)
  if (requests === undefined || isProblem(requests) || "exitCode" in address) return otherwise(false)
  const { seconds, socketPath } = address

  const end = (problem: Problem) => leave(printProblem(question.name, json, problem))
  const lines = requests.map(({ method, params }, id) => requestLine(method, params, id + 1))
  exchange(socketPath, lines, seconds * 1000, (outcome) => {
    if (outcome._tag === "Silent") return end(noAnswer({ seconds }))
    if (outcome._tag === "TooMuch") return end(badAnswer(tooMuch))
    if (outcome._tag !== "Replies") return otherwise(outcome._tag === "Cut")
    const replies = requests.map((request, index) => ({ request, reply: told(outcome.lines[index]) }))
    const failed = replies.find(({ reply, request }) => reply.problem !== undefined && request.optional !== true)
    if (failed?.reply.problem !== undefined) return end(failed.reply.problem)
    const output = question.tell(
      replies.map(({ reply }) => reply.result),
      { line, socketPath }
    )
    if (output === undefined) return end(badAnswer(`${requests[0]?.method} has an unexpected result`))
    return leave(printOutput(question.name, json, output))
  })
}

const printVersion = () => leave(print(`${version}\n`))

const told = (line: string | undefined): { readonly result?: unknown; readonly problem?: Problem } => {
  const reply = readReply(line)
  if (reply === undefined) return { problem: badAnswer(noReply) }
  return reply.error === undefined ? { result: reply.result } : { problem: refused(reply.error) }
}
