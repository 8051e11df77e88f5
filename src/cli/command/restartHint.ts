/**
 * How to restart a daemon: one that a person started has no supervisor, and `secrets daemon restart` is refused for it.
 */

/** Returns the commands; `startedBy` is what `daemon.status` reports. */
export const restartHint = (startedBy: string | undefined): string =>
  `secrets daemon ${startedBy === "hand" ? "stop, then secrets serve" : "restart"}`
