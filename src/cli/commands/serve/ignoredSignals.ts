/**
 * The signals that the daemon survives, and how it ignores them. SIGUSR1 is one of
 * them: without a listener, Node opens a debugger on it.
 */

/**
 * All that would end or freeze the process and that a program may catch, but for SIGILL, SIGBUS, SIGFPE and SIGSEGV:
 * to catch those turns a fault of our own into a process that neither ends nor answers. `abort` works all the same.
 */
export const ignoredSignals: ReadonlyArray<NodeJS.Signals> = [
  "SIGUSR1",
  "SIGUSR2",
  "SIGHUP",
  "SIGPIPE",
  "SIGQUIT",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGXCPU",
  "SIGIO",
  "SIGPWR",
  "SIGSTKFLT",
  "SIGTRAP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGABRT",
  "SIGSYS"
]

/** Adds a listener for each of them that this system has. */
export const ignoreSignals = (except?: NodeJS.Signals): void => {
  for (const signal of ignoredSignals) {
    if (signal === except) continue
    try {
      process.on(signal, () => undefined)
    } catch {
      // This system has no such signal.
    }
  }
}
