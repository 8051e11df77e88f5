/**
 * The exit statuses of `secrets`, which scripts and supervisors may rely on. Statuses 64 to
 * 78 come from sysexits.h. All of these except 70 have a permanent cause, which no retry
 * removes.
 */
export const exitStatus = {
  done: 0,
  /** It failed for a reason that has no number of its own; for `scan`, secrets were found. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No daemon listens on the socket. */
  unavailable: 3,
  /** There is no such secret or lease, or the service is not installed. */
  notFound: 4,
  /** The daemon rejected the request, or the project file is not trusted. */
  rejected: 5,
  /** The daemon did not reply in time. */
  timeout: 6,
  /** This user may not use the socket, or another user could have put it there. */
  permission: 7,
  /** The service runs, but not as it would be installed now. */
  stale: 8,
  /** The work is done except for what could not be read. */
  incomplete: 9,
  /** A person has to approve it, and has not yet. */
  approvalPending: 10,
  /** `scan` found nothing, but did not search for all values of the store. */
  notCompared: 11,
  /** The store cannot be read. */
  unreadableStore: 65,
  /** The value or the request does not fit the protocol of the helper. */
  unfit: 65,
  /** The shutdown of the daemon timed out. */
  shutdownTimedOut: 70,
  /** A directory, file or socket cannot be created. */
  cannotCreate: 73,
  /** Another daemon uses this directory. */
  alreadyRunning: 75,
  /** `exec` has restarted its program too often within a minute. */
  tooManyRestarts: 75,
  /** A setting is wrong. */
  badConfig: 78,
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143
} as const
