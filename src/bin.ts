/**
 * The entry of `secrets`: a command that only asks is run at once, for everything
 * else everything is loaded.
 */
import "./cli/commands/serve/earlySignals.ts"
import { runQuery } from "./cli/fastPath.ts"

// Node would open a debugger, and there are values in what is open.
process.on("SIGUSR1", () => undefined)

const args = process.argv.slice(2)

runQuery(args, (maybeHeard) => void import("./cli/whole.ts").then(({ main }) => main(args, maybeHeard)))
