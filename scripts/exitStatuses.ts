/**
 * Describes the exit statuses for the docs. One without a description is a type error.
 */
import { exitStatus } from "../src/domain/exitStatus.ts"

const meanings: Readonly<Record<keyof typeof exitStatus, string>> = {
  done: "done",
  failed: "any other failure; scan: secrets were found",
  usage: "usage error",
  unavailable: "the daemon is not running",
  notFound: "no such secret or lease; daemon: the service is not installed",
  rejected: "refused by the daemon; env, exec: the project file is not trusted",
  timeout: "no reply in time",
  permission: "no permission to use the socket, or it may be another user's",
  stale: "daemon status: the running service differs from what would be installed",
  incomplete: "done, but some files could not be read or removed",
  notCompared: "scan: nothing found, but not all values of the store were searched for",
  approvalPending: "a person has to approve it, and has not yet",
  unreadableStore: "serve: the store cannot be read",
  unfit: "helper: the value or the request does not fit the protocol",
  shutdownTimedOut: "serve: the shutdown timed out",
  cannotCreate: "serve: a directory, file or socket cannot be created",
  alreadyRunning: "serve: another daemon is already running",
  tooManyRestarts: "exec: the program was restarted too often within a minute",
  badConfig: "a setting is wrong",
  interrupted: "interrupted by Ctrl-C",
  terminated: "ended by SIGTERM"
}

/** Sorted by number. */
export const exitStatuses = Object.entries(meanings)
  .map(([name, meaning]) => [exitStatus[name as keyof typeof exitStatus], meaning] as const)
  .toSorted(([a], [b]) => a - b)
