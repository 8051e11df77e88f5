/**
 * Adds to a problem what costs time to find out: what is known about a daemon that does not listen, and whose a file is.
 * The code for that is loaded only then.
 */
import type { GlobalArgs } from "./settingsFile.ts"
import type { Problem } from "./Output.ts"

/**
 * Adds what is known about a daemon that does not listen. `describe`, of a command that reports what it finds, adds how the
 * last one ended, or the process that hangs.
 */
export const explainAbsent = async (args: GlobalArgs, problem: Problem, describe?: boolean): Promise<Problem> => {
  if (describe === true && problem.code === "timeout") return (await import("./absence.ts")).explainHang(args, problem)
  return problem.absent === undefined
    ? problem
    : // The message of an Error is not enumerable.
      (await import("./absence.ts")).explainAbsence(
        args,
        problem.absent,
        { ...problem, message: problem.message },
        describe
      )
}

/** Adds whose the file is that this user may not use. */
export const explainDenied = async (problem: Problem): Promise<Problem> =>
  problem.denied === undefined ? problem : (await import("./ownership.ts")).explainAccess(problem)
