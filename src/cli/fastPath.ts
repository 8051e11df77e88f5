/**
 * Runs a query command without loading anything for it: one connection to the daemon,
 * and the reply printed. Most calls of `secrets` end here, and `--version` does.
 */
import { type After, type SendFailure, sendRequests } from "../rpc/client/sendRequests.ts"
import { notAReply, type RpcReply } from "../rpc/protocol/reply.ts"
import { emptyCoreFiles } from "../process/coreFiles.ts"
import { version } from "../version.ts"
import { findCommand, type Flags, parseArguments } from "./command/Command.ts"
import { type Address, daemonAddress, type GlobalArgs } from "./command/daemonAddress.ts"
import { exitWith, printLines, printOutput, printProblem, type Problem } from "./command/Output.ts"
import { clientProblem, protocolProblem, refusalProblem } from "./command/problems.ts"
import { isProblem, type QueryCommand } from "./command/QueryCommand.ts"
import { namesFor, withSuggestion } from "./command/suggestName.ts"
import { completionsCommand } from "./commands/completions/completions.ts"
import { deleteCommand } from "./commands/delete/delete.ts"
import { leaseCommand } from "./commands/lease.ts"
import { revokeCommand } from "./commands/revoke/revoke.ts"
import { statusCommand } from "./commands/status/status.ts"

/** Returns whether it runs this command line; if not, it has done nothing. */
export const fastPath = (args: ReadonlyArray<string>): boolean => {
  const { name, rest } = findCommand(args)
  switch (name) {
    case "lease":
      return runQuery(leaseCommand, rest)
    case "status":
      return runQuery(statusCommand, rest)
    case "revoke":
      return runQuery(revokeCommand, rest)
    case "delete":
      return runQuery(deleteCommand, rest)
    case "completions":
      return runQuery(completionsCommand, rest)
    case undefined:
      if (args.join(" ") !== "--version") return false
      exitWith(printLines([version]))
      return true
    default:
      return false
  }
}

const runQuery = <F extends Flags>(command: QueryCommand<F>, words: ReadonlyArray<string>): boolean => {
  const parsed = parseArguments(command, words)
  if (parsed.kind === "help") return false
  if (parsed.kind === "usage-error") {
    exitWith(printProblem(command.name, parsed.json, parsed.problem))
    return true
  }
  const { args, json } = parsed
  const requests = command.requests(args)
  if (requests === undefined) return false

  const printFailure = (problem: Problem) => exitWith(printProblem(command.name, json, problem))
  const fail = (problem: Problem): true => {
    if (problem.denied === undefined) printFailure(problem)
    else void import("./command/ownership.ts").then(({ explainAccess }) => printFailure(explainAccess(problem)))
    return true
  }
  if (isProblem(requests)) return fail(requests)
  const address = daemonAddress(args)
  if ("exitStatus" in address) return fail(address)

  emptyCoreFiles()
  const returnsSoon = command.reportsAbsence ? () => Promise.resolve(false) : address.returnsSoon
  sendRequests({ ...address, returnsSoon, after }, requests, (outcome) => {
    if (outcome._tag !== "Replies") return void failedProblem(args, outcome, command.reportsAbsence).then(fail)
    const { replies } = outcome
    const error = replies.map(errorIn).find((problem, n) => problem !== undefined && requests[n]?.optional !== true)
    if (error?.code === "SecretNotFound" && command.completes === "secret") {
      return suggestName(address, args.positionals[0] ?? "", error, namesFor(requests[0]?.params), fail)
    }
    if (error !== undefined) return fail(error)
    const results = replies.map((reply) => (reply?.error === undefined ? reply?.result : undefined))
    const output = command.render(results, { args, socketPath: address.socketPath })
    if (output === undefined) return fail(protocolProblem(`${requests[0]?.method} has an unexpected result`))
    const back = command.undo?.(results)
    const undo = back && (() => new Promise((done) => void sendRequests({ ...address, after }, [back], done)))
    return exitWith(printOutput(command.name, json, undo === undefined ? output : { ...output, undo }))
  })
  return true
}

/** Asks for the names, and adds one that may be meant. */
const suggestName = (
  address: Address,
  name: string,
  problem: Problem,
  params: object,
  fail: (problem: Problem) => void
): void => {
  sendRequests({ ...address, after }, [{ method: "secrets.list", params }], (outcome) => {
    const [listed] = outcome._tag === "Replies" ? outcome.replies : []
    fail(withSuggestion(problem, name, listed?.error === undefined ? listed?.result : undefined))
  })
}

const after: After = (millis, run) => {
  // oxlint-disable-next-line no-restricted-globals -- the clock of the fast path; sendRequests is tested with another
  const timer = setTimeout(run, millis)
  return () => clearTimeout(timer)
}

const errorIn = (reply: RpcReply | undefined): Problem | undefined => {
  if (reply === undefined) return protocolProblem(notAReply)
  return reply.error === undefined ? undefined : refusalProblem(reply.error)
}

const failedProblem = async (args: GlobalArgs, failure: SendFailure, describeRun?: boolean): Promise<Problem> => {
  const problem = clientProblem(failure)
  return failure._tag === "DaemonUnavailable" && problem.denied === undefined
    ? (await import("./command/absence.ts")).explainAbsence(args, failure, problem, describeRun)
    : problem
}
