/**
 * The exit statuses of a daemon that cannot start, from sysexits.h: lasting causes,
 * each with a number of its own, so that a supervisor can tell them apart.
 */
export const exitStatus = {
  /** The store cannot be read. */
  unreadableStore: 65,
  /** A directory, file or socket cannot be made. */
  cannotCreate: 73,
  /** Another daemon is at work here. */
  alreadyRunning: 75,
  /** A setting is wrong. */
  badConfig: 78
} as const
