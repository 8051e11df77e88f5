/**
 * The signals that the daemon ignores. SIGUSR1 is one of them: without a listener,
 * Node opens a debugger on it.
 */

/**
 * Signals that would end or stop the process by default. SIGILL, SIGBUS, SIGFPE, SIGSEGV and SIGTRAP are missing because
 * a process that catches its own fault neither ends nor responds; on arm64, a fatal error of V8 or of the system's
 * libraries is a SIGTRAP. `abort` still works with SIGABRT caught.
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
