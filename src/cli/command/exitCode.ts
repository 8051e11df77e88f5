/**
 * The exit statuses of `secrets`: numbers that scripts may rely on.
 *
 * `serve` adds those of sysexits.h for a start that cannot succeed
 * (src/domain/exitStatus.ts).
 */
export const exitCode = {
  done: 0,
  /** It did not work, for a reason without a number of its own. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** There is no daemon on the socket. */
  unavailable: 3,
  /** No such secret or lease. */
  notFound: 4,
  /** The daemon said no. */
  refused: 5,
  /** The daemon did not answer in time. */
  timeout: 6,
  /** The socket may not be used by this user. */
  permission: 7,
  /** The service runs, but not as it would be installed now. */
  stale: 8,
  /** It is done, but for what could not be read. */
  incomplete: 9,
  interrupted: 130
} as const
