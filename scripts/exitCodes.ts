/**
 * What the exit statuses mean, in words for the docs. One without words is a type
 * error.
 */
import { exitCode } from "../src/cli/command/exitCode.ts"
import { exitStatus } from "../src/domain/exitStatus.ts"

const meanings: Readonly<Record<keyof typeof exitCode, string>> = {
  done: "done",
  failed: "failed for a reason that has no number of its own",
  usage: "the command line is wrong",
  unavailable: "the daemon is not running",
  notFound: "no such secret or lease",
  refused: "the daemon refused",
  timeout: "no answer in time",
  permission: "no permission for the socket",
  stale: "daemon status: the service runs, but not as it would be installed now",
  incomplete: "done, but for what could not be read",
  interrupted: "ended by Ctrl-C or SIGTERM"
}

const meaningsOfStart: Readonly<Record<keyof typeof exitStatus, string>> = {
  unreadableStore: "serve: the store cannot be read",
  cannotCreate: "serve: a directory, file or socket cannot be made",
  alreadyRunning: "serve: another daemon is at work here",
  badConfig: "a setting is wrong"
}

const table = <Name extends string>(
  codes: Readonly<Record<Name, number>>,
  words: Readonly<Record<Name, string>>
): ReadonlyArray<readonly [number, string]> =>
  Object.entries<number>(codes).map(([name, code]) => [code, words[name as Name]] as const)

/** By number. */
export const exitCodes = [...table(exitCode, meanings), ...table(exitStatus, meaningsOfStart)].toSorted(
  ([a], [b]) => a - b
)
