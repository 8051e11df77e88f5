/**
 * The entry of the daemon's own bundle, dist/serve.cjs: `secrets serve`, and no other command.
 *
 * Each use of an import from another file of a CommonJS build calls a getter, which slows a lease. Here the
 * daemon and its libraries are one file.
 */
import "./cli/commands/serve/earlySignals.ts"
import { serveCommand } from "./cli/commands/serve/serve.ts"
import { runMain } from "./cli/runMain.ts"
// The command imports it later, as everywhere; this puts it into the same file.
import "./daemon/Daemon.ts"
import { emptyCoreFiles } from "./process/coreFiles.ts"

emptyCoreFiles()
runMain(process.argv.slice(2), () => Promise.resolve(serveCommand))
