/**
 * A command that only asks: some requests, and how their results are told.
 *
 * It can be run in two ways that share all of this: at once (`quick.ts`), with
 * nothing loaded but what stands here, and by `answer.ts`, which waits for a daemon
 * that is not there yet. They can differ in nothing but that.
 */
import type { MethodName } from "../../rpc/protocol/methods.ts"
import type { Flags, CommandSpec, ArgsOf } from "./Command.ts"
import type { Output, Problem } from "./Output.ts"

export interface QueryRequest {
  readonly method: MethodName
  readonly params: object
  /** What a daemon that does not know the method leaves out. */
  readonly optional?: boolean
}

export interface QueryCommand<F extends Flags> extends CommandSpec<F> {
  /** The requests of this line, what is wrong with it, or undefined if it is more than a question. */
  readonly requests: (args: ArgsOf<F>) => ReadonlyArray<QueryRequest> | Problem | undefined
  /** What is told of the results, in the order of the requests; undefined if they are not of the form expected. */
  readonly render: (results: ReadonlyArray<unknown>, asked: QueryContext<F>) => Output | undefined
}

/** What was asked, and where. */
export interface QueryContext<F extends Flags> {
  readonly args: ArgsOf<F>
  readonly socketPath: string
}

/** Defines a question; there is nothing in it but the types. */
export const defineQuery = <const F extends Flags>(question: QueryCommand<F>): QueryCommand<F> => question

export const isProblem = (asked: ReadonlyArray<QueryRequest> | Problem): asked is Problem => "exitStatus" in asked
