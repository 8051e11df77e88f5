/**
 * The problem of a request without replies, for commands that load no library: what is known about
 * a daemon that does not listen is loaded only then.
 */
import type { SendFailure } from "../../rpc/client/sendRequests.ts"
import type { GlobalArgs } from "./daemonAddress.ts"
import type { Problem } from "./Output.ts"
import { clientProblem } from "./problems.ts"

/** Explains a failure; `describeRun` adds how the last daemon ended. */
export const failedProblem = async (
  args: GlobalArgs,
  failure: SendFailure,
  describeRun?: boolean
): Promise<Problem> => {
  const problem = clientProblem(failure)
  return failure._tag === "DaemonUnavailable" && problem.denied === undefined
    ? (await import("./absence.ts")).explainAbsence(args, failure, problem, describeRun)
    : problem
}

/** Adds whose the file is that this user may not use. */
export const explainDenied = async (problem: Problem): Promise<Problem> =>
  problem.denied === undefined ? problem : (await import("./ownership.ts")).explainAccess(problem)
