/**
 * The entry of `secrets`: the fast path runs a query command, `main` everything else.
 */
import "./cli/commands/serve/earlySignals.ts"
import { fastPath } from "./cli/fastPath.ts"

// By default Node opens a debugger on this signal, and there are values in the memory.
process.on("SIGUSR1", () => undefined)

const args = process.argv.slice(2)

if (!fastPath(args)) void import("./cli/main.ts").then(({ main }) => main(args))
