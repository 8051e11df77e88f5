/**
 * Runs a command that only asks, without loading anything for it: one connection to
 * the daemon, and the answer printed. Scripts ask for the version as well.
 *
 * This is how nearly every call ends. When it is another command, its line is wrong,
 * or the daemon is not there at once, everything is loaded and that goes on. Nothing
 * has happened then that would not be repeated.
 */
import { roundTrip, requestLine, responseTooLarge } from "../rpc/client/roundTrip.ts"
import { notAReply, readReply } from "../rpc/protocol/reply.ts"
import { version } from "../version.ts"
import type { Flags } from "./command/Command.ts"
import { commandIndex, parseArguments } from "./command/Command.ts"
import { completionsCommand } from "./commands/completions/completions.ts"
import { daemonAddress } from "./command/daemonAddress.ts"
import { deleteCommand } from "./commands/delete.ts"
import { healthCommand } from "./commands/health.ts"
import { leaseCommand } from "./commands/lease.ts"
import { listCommand } from "./commands/list.ts"
import type { Problem } from "./command/Output.ts"
import { exitWith, print, printOutput, printProblem } from "./command/Output.ts"
import { protocolProblem, timeoutProblem, refusalProblem } from "./command/problems.ts"
import type { QueryCommand } from "./command/QueryCommand.ts"
import { isProblem } from "./command/QueryCommand.ts"
import { revokeCommand } from "./commands/revoke/revoke.ts"
import { statusCommand } from "./commands/status/status.ts"

/** Runs the line, or has it run by `otherwise`. */
export const runQuery = (args: ReadonlyArray<string>, otherwise: (maybeHeard: boolean) => void): void => {
  const at = commandIndex(args)
  const rest = [...args.slice(0, at), ...args.slice(at + 1)]
  switch (args[at]) {
    case "lease":
      return run(leaseCommand, rest, otherwise)
    case "status":
      return run(statusCommand, rest, otherwise)
    case "revoke":
      return run(revokeCommand, rest, otherwise)
    case "list":
      return run(listCommand, rest, otherwise)
    case "health":
      return run(healthCommand, rest, otherwise)
    case "delete":
    case "rm":
      return run(deleteCommand, rest, otherwise)
    case "completions":
      return run(completionsCommand, rest, otherwise)
    case undefined:
      return args.join(" ") === "--version" ? printVersion() : otherwise(false)
    default:
      return otherwise(false)
  }
}

const run = <F extends Flags>(
  question: QueryCommand<F>,
  args: ReadonlyArray<string>,
  otherwise: (maybeHeard: boolean) => void
): void => {
  const reading = parseArguments(question, args)
  if (reading.kind !== "run") return otherwise(false)
  const { json, args: line } = reading
  const requests = question.requests(line)
  const address = daemonAddress(line)
  if (requests === undefined || isProblem(requests) || "exitStatus" in address) return otherwise(false)
  const { seconds, socketPath } = address

  const end = (problem: Problem) => exitWith(printProblem(question.name, json, problem))
  const lines = requests.map(({ method, params }, id) => requestLine(method, params, id + 1))
  roundTrip(socketPath, lines, seconds * 1000, (outcome) => {
    if (outcome._tag === "Silent") return end(timeoutProblem({ seconds }))
    if (outcome._tag === "TooMuch") return end(protocolProblem(responseTooLarge))
    if (outcome._tag !== "Replies") return otherwise(outcome._tag === "Cut")
    const replies = requests.map((request, index) => ({ request, reply: told(outcome.lines[index]) }))
    const failed = replies.find(({ reply, request }) => reply.problem !== undefined && request.optional !== true)
    if (failed?.reply.problem !== undefined) return end(failed.reply.problem)
    const output = question.render(
      replies.map(({ reply }) => reply.result),
      { args: line, socketPath }
    )
    if (output === undefined) return end(protocolProblem(`${requests[0]?.method} has an unexpected result`))
    return exitWith(printOutput(question.name, json, output))
  })
}

const printVersion = () => exitWith(print(`${version}\n`))

const told = (line: string | undefined): { readonly result?: unknown; readonly problem?: Problem } => {
  const reply = readReply(line)
  if (reply === undefined) return { problem: protocolProblem(notAReply) }
  return reply.error === undefined ? { result: reply.result } : { problem: refusalProblem(reply.error) }
}
