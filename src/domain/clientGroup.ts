/**
 * The client group: the clients that are the same program, run again.
 *
 * `exec` and `mcp` end the client id of a run with its process in brackets, as in
 * `laptop/npm[4242]` or `codex/git[4242.7]`, so that runs do not replace each other's leases.
 */
const runSuffix = /(?<=[^])\[[0-9]+(?:\.[0-9]+)?\]$/

/** Returns the client id without the process of a run; an id that is nothing else stays as it is. */
export const clientGroup = (clientId: string): string =>
  clientId.endsWith("]") ? clientId.replace(runSuffix, "") : clientId
