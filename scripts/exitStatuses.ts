/**
 * Describes the exit statuses for the docs. One without a description is a type error.
 */
import { exitStatus } from "../src/domain/exitStatus.ts"

const meanings: Readonly<Record<keyof typeof exitStatus, string>> = {
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
  unreadableStore: "serve: the store cannot be read",
  cannotCreate: "serve: a directory, file or socket cannot be made",
  alreadyRunning: "serve: another daemon is at work here",
  badConfig: "a setting is wrong",
  interrupted: "ended by Ctrl-C or SIGTERM"
}

/** By number. */
export const exitStatuses = Object.entries(meanings)
  .map(([name, meaning]) => [exitStatus[name as keyof typeof exitStatus], meaning] as const)
  .toSorted(([a], [b]) => a - b)
