/**
 * Why a tool could not do its work, in a form that a model acts on: a code, a text, and what to
 * do. No text quotes an argument, which may be a value.
 */
import * as Data from "effect/Data"
import type { ErrorTag } from "../../../rpc/protocol/errorTags.ts"
import { isErrorTag } from "../../../rpc/protocol/errorTags.ts"
import { cutLine, type Problem } from "../../command/Output.ts"

/** What to do about each kind of failure. */
const fixes = {
  daemon_down: "Tell the person: secrets status",
  no_answer: "Tell the person: secrets status",
  no_such_secret: "See the names with list_secrets. For a missing one: request_secret",
  not_allowed: "Ask the person. Do not look for the value elsewhere",
  store_locked: "Tell the person: the store is locked, and only they may unlock it",
  approval_pending:
    "Go on with other work, and call again with the same arguments. The person runs: secrets approve ID",
  approval_denied: "Do not ask again in this task",
  approval_expired: "Tell the person how to answer: secrets requests",
  command_not_allowed: "Use another program, or ask the person",
  untrusted_project: "Name the secrets, or ask the person to run: secrets allow",
  too_short_to_mask: "Ask the person: the program would show the value",
  not_ignored: "Ask the person to add the file to .gitignore",
  outside_project: "Use a path inside the project",
  bad_variable: "Choose another variable",
  no_such_program: "Check the name of the program. Shell syntax needs a shell as the program",
  invalid_arguments: "Correct the arguments: see the input schema of the tool",
  failed: "Tell the person"
} as const

export type FailureCode = keyof typeof fixes

/** The answer of a tool that could not do its work. */
export class ToolFailure extends Data.TaggedError("ToolFailure")<{
  readonly code: FailureCode
  readonly message: string
  readonly fix: string
  /** Of the request that waits for a person. */
  readonly requestId?: string | undefined
}> {}

/** Returns a failure with the hint of its code, or another one. */
export const toolFailure = (
  code: FailureCode,
  message: string,
  fix: string = fixes[code],
  requestId?: string
): ToolFailure => new ToolFailure({ code, message: cutLine(message), fix: cutLine(fix), requestId })

/** The codes of the command's own problems. */
const codesOfProblems: ReadonlyMap<string, FailureCode> = new Map<string, FailureCode>([
  ["daemon_unavailable", "daemon_down"],
  ["unsafe_socket", "daemon_down"],
  ["timeout", "no_answer"],
  ["misuse", "invalid_arguments"],
  ["untrusted_project", "untrusted_project"],
  ["too_short_to_mask", "too_short_to_mask"]
])

/** The codes of the daemon's errors that a model can act on. */
const codesOfTags: Partial<Record<ErrorTag, FailureCode>> = {
  SecretNotFound: "no_such_secret",
  PolicyDenied: "not_allowed",
  ProxyOnly: "not_allowed",
  AccessDenied: "not_allowed",
  TtlTooLong: "not_allowed",
  ApprovalPending: "approval_pending",
  ApprovalDenied: "approval_denied",
  ApprovalExpired: "approval_expired",
  StoreLocked: "store_locked",
  StoreUnreadable: "store_locked",
  Stopping: "no_answer"
}

/** Texts that would quote an argument. */
const ownTexts: Partial<Record<FailureCode, string>> = {
  no_such_secret: "no such secret",
  untrusted_project: "the .secrets.json is not trusted"
}

/** Returns the failure of a problem that a command would print. */
export const failureOf = (problem: Pick<Problem, "code" | "message" | "fix">): ToolFailure => {
  const code = (isErrorTag(problem.code) ? codesOfTags[problem.code] : codesOfProblems.get(problem.code)) ?? "failed"
  const [, requestId] = /^approval pending: ([A-Z]+)/.exec(problem.message) ?? []
  const fix = code === "failed" ? problem.fix : fixes[code].replace("ID", requestId ?? "ID")
  return toolFailure(code, ownTexts[code] ?? problem.message, fix, requestId)
}
