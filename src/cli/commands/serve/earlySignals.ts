/**
 * Protects `serve` while the rest of the program is loaded: signals that the daemon
 * survives do not end it, and a debugger that SIGUSR1 opened is closed.
 *
 * The program imports it first. It does nothing for any other command.
 */
import { ignoreSignals } from "./ignoredSignals.ts"

const closeEarlyDebugger = async (): Promise<void> => {
  const inspector = await import("node:inspector")
  if (inspector.url() === undefined) return
  inspector.close()
  process.stderr.write("secrets: a debugger was open before the program; it is closed\n")
}

if (process.argv.includes("serve", 2)) {
  // Bun, which runs the binary, opens no debugger on SIGUSR1.
  const opensDebugger = process.versions["bun"] === undefined && !process.execArgv.includes("--disable-sigusr1")
  // While a debugger is open, Node takes no listener for SIGPROF, then or later; `watchSignals` adds it.
  ignoreSignals(opensDebugger ? "SIGPROF" : undefined)
  if (opensDebugger) void closeEarlyDebugger()
}
