/**
 * A command that only queries the daemon: its requests, and how to render the replies.
 *
 * The fast path runs it without loading a library. Where its arguments ask for more than
 * a query, `main` runs the full command (`fullCommand`).
 */
import type { ClientRequest } from "../../rpc/client/sendRequests.ts"
import type { ArgsOf, Command, CommandDefinition, CommandSpec, Flags } from "./Command.ts"
import { defineCommand } from "./Command.ts"
import type { Output, Problem } from "./Output.ts"

export interface QueryRequest extends ClientRequest {
  /** An error reply counts as no result: the predecessor does not know the method. */
  readonly optional?: boolean
}

export interface QueryCommand<F extends Flags> extends CommandSpec<F> {
  /** Returns the requests, a usage error, or undefined if these arguments need the full command. */
  readonly requests: (args: ArgsOf<F>) => ReadonlyArray<QueryRequest> | Problem | undefined
  /** Renders the results in the order of the requests; returns undefined if they have an unexpected shape. */
  readonly render: (results: ReadonlyArray<unknown>, asked: QueryContext<F>) => Output | undefined
  /** The request that takes back what the results hand out, if they cannot be printed. */
  readonly undo?: (results: ReadonlyArray<unknown>) => ClientRequest | undefined
  /** Returns the flag that says how long to wait for a person. */
  readonly approvalWait?: (args: ArgsOf<F>) => string | undefined
  /** It reports on the daemon: it does not wait for one, and describes the last run. */
  readonly reportsAbsence?: boolean
}

export interface QueryContext<F extends Flags> {
  readonly args: ArgsOf<F>
  readonly socketPath: string
}

/** Infers the flags; it adds nothing. */
export const defineQuery = <const F extends Flags>(query: QueryCommand<F>): QueryCommand<F> => query

/** Makes a command of a query: `run` gets the arguments for which there are no `requests`. */
export const fullCommand = <F extends Flags, R = never>(
  query: QueryCommand<F>,
  run: CommandDefinition<F, R>["run"] = onFastPath
): Command<R> => defineCommand({ ...query, run })

const onFastPath = (): never => {
  throw new Error("the fast path runs this command")
}

export const isProblem = (asked: ReadonlyArray<QueryRequest> | Problem): asked is Problem => "exitStatus" in asked
