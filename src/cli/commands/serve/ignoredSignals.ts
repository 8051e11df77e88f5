/**
 * The signals that the daemon ignores. SIGUSR1 is one of them: without a listener,
 * Node opens a debugger on it.
 */

/**
 * Signals that would end or stop the process by default. SIGILL, SIGBUS, SIGFPE and SIGSEGV are missing because a
 * process that catches its own fault neither ends nor responds. `abort` still works with SIGABRT caught.
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

/** Adds an empty listener for each signal that this system has. */
export const ignoreSignals = (except?: NodeJS.Signals): void => {
  for (const signal of ignoredSignals) {
    if (signal === except) continue
    try {
      process.on(signal, () => undefined)
    } catch {
      // The system has no such signal.
    }
  }
}
