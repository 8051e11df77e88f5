/**
 * Protects `serve` while its libraries load: ignores the signals that the daemon ignores, and
 * closes a debugger that SIGUSR1 opened.
 *
 * The program calls it first, for no other command.
 */
import { ignoreSignals } from "./ignoredSignals.ts"

const closeEarlyDebugger = async (): Promise<void> => {
  const inspector = await import("node:inspector")
  if (inspector.url() === undefined) return
  inspector.close()
  process.stderr.write("secrets: closed a debugger that was open at startup\n")
}

export const protectStart = (): void => {
  // Bun, which runs the binary, opens no debugger on SIGUSR1.
  const opensDebugger = process.versions["bun"] === undefined && !process.execArgv.includes("--disable-sigusr1")
  // Node rejects a SIGPROF listener while a debugger is open; `watchSignals` adds it later.
  ignoreSignals(opensDebugger ? "SIGPROF" : undefined)
  if (opensDebugger) void closeEarlyDebugger()
}
