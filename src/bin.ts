/**
 * The entry of `secrets`: the fast path runs a query command, `main` everything else.
 */
import { findCommand } from "./cli/command/Command.ts"
import { protectStart } from "./cli/commands/serve/protectStart.ts"
import { fastPath } from "./cli/fastPath.ts"

// By default Node opens a debugger on this signal, and there are values in the memory.
process.on("SIGUSR1", () => undefined)

const args = process.argv.slice(2)

if (findCommand(args).name === "serve") protectStart()
if (!fastPath(args)) void import("./cli/main.ts").then(({ main }) => main(args))
