/**
 * Runs `secrets serve` in the daemon's own bundle.
 */
import { emptyCoreFiles } from "./process/coreFiles.ts"
import { findCommand } from "./cli/command/Command.ts"
import { serveCommand } from "./cli/commands/serve/serve.ts"
import { runMain } from "./cli/runMain.ts"
// The command imports it later, as everywhere; this puts it into the same file.
import "./daemon/Daemon.ts"

export const serveMain = (args: ReadonlyArray<string>): void => {
  emptyCoreFiles()
  runMain(findCommand(args), () => Promise.resolve(serveCommand))
}
