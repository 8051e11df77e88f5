/**
 * Runs a query command without loading anything for it: one connection to the daemon,
 * and the reply printed. Most calls of `secrets` end here, and `--version` does.
 */
import { after } from "../rpc/client/after.ts"
import { type SendOutcome, sendRequests } from "../rpc/client/sendRequests.ts"
import { emptyCoreFiles } from "../process/coreFiles.ts"
import { version } from "../version.ts"
import { findCommand, type Flags, parseArguments } from "./command/Command.ts"
import { daemonAddress } from "./command/daemonAddress.ts"
import { exitWith, printLines, printOutput, printProblem, type Problem } from "./command/Output.ts"
import { isProblem, type QueryCommand } from "./command/QueryCommand.ts"
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
    case "helper":
      void import("./commands/helper/runHelper.ts").then(
        async ({ runHelper }) => (await runHelper(rest)) || (await import("./main.ts")).main(args)
      )
      return true
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
  const settle = (outcome: SendOutcome, waitUntil: number | undefined): void => {
    const replies = outcome._tag === "Replies" ? outcome.replies : []
    const results = replies.map((reply) => (reply?.error === undefined ? reply?.result : undefined))
    const isDone = requests.every(
      ({ optional }, n) => optional === true || (replies[n] !== undefined && replies[n].error === undefined)
    )
    const output = isDone ? command.render(results, { args, socketPath: address.socketPath }) : undefined
    if (output !== undefined) {
      const back = command.undo?.(results)
      const undo = back && (() => new Promise((done) => void sendRequests({ ...address, after }, [back], done)))
      return exitWith(printOutput(command.name, json, undo === undefined ? output : { ...output, undo }))
    }
    void import("./queryFailure.ts").then(async ({ explainFailure }) => {
      const problem = await explainFailure({ command, args, address, after, requests, outcome })
      if (problem.request === undefined) return fail(problem)
      const { awaitOnFastPath } = await import("./commands/requests/awaitAnswer.ts")
      const ended = await awaitOnFastPath(address, problem, command.approvalWait?.(args), waitUntil)
      return typeof ended === "number" ? send(ended) : fail(ended)
    })
  }
  /** Sends the requests, again after a person was waited for; `waitUntil` is when such waiting ends. */
  const send = (waitUntil?: number) =>
    sendRequests({ ...address, returnsSoon, after }, requests, (outcome) => settle(outcome, waitUntil))
  send()
  return true
}
