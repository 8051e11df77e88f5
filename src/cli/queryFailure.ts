/**
 * Why a query command has no result. The fast path loads it only then: the table of errors and
 * hints is larger than all else that a command needs.
 */
import { type After, type SendOutcome, sendRequests } from "../rpc/client/sendRequests.ts"
import { notAReply, type RpcReply } from "../rpc/protocol/reply.ts"
import type { Flags } from "./command/Command.ts"
import type { Address } from "./command/daemonAddress.ts"
import { explainAbsent } from "./command/failedProblem.ts"
import type { GlobalArgs } from "./command/settingsFile.ts"
import type { Problem } from "./command/Output.ts"
import { clientProblem, protocolProblem, refusalProblem } from "./command/problems.ts"
import type { QueryCommand, QueryRequest } from "./command/QueryCommand.ts"
import { namesFor, withSuggestion } from "./command/suggestName.ts"

interface FailedQuery<F extends Flags> {
  readonly command: QueryCommand<F>
  readonly args: GlobalArgs & { readonly positionals: ReadonlyArray<string> }
  readonly address: Address
  readonly after: After
  readonly requests: ReadonlyArray<QueryRequest>
  readonly outcome: SendOutcome
}

/** Returns the problem: no connection, an error of the daemon, or a reply of another shape. */
export const explainFailure = async <F extends Flags>(query: FailedQuery<F>): Promise<Problem> => {
  const { args, command, outcome, requests } = query
  if (outcome._tag !== "Replies") return explainAbsent(args, clientProblem(outcome), command.reportsAbsence)
  const errors = outcome.replies.map(errorIn)
  const error = errors.find((problem, n) => problem !== undefined && requests[n]?.optional !== true)
  if (error === undefined) return protocolProblem(`${requests[0]?.method} has an unexpected result`)
  return error.code === "SecretNotFound" && command.completes === "secret" ? suggestName(query, error) : error
}

/** For the names, where the command's time is over. */
const leastSeconds = 0.3

/** Asks for the names, and adds one that may be meant. */
const suggestName = <F extends Flags>(
  { address, after, args, requests }: FailedQuery<F>,
  problem: Problem
): Promise<Problem> =>
  new Promise((resolve) => {
    const list = { method: "secrets.list", params: namesFor(requests[0]?.params) } as const
    const seconds = Math.max(leastSeconds, address.seconds - process.uptime())
    sendRequests({ ...address, seconds, after }, [list], (outcome) => {
      const [listed] = outcome._tag === "Replies" ? outcome.replies : []
      const names = listed?.error === undefined ? listed?.result : undefined
      resolve(withSuggestion(problem, args.positionals[0] ?? "", names))
    })
  })

const errorIn = (reply: RpcReply | undefined): Problem | undefined => {
  if (reply === undefined) return protocolProblem(notAReply)
  return reply.error === undefined ? undefined : refusalProblem(reply.error)
}
