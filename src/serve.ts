/**
 * The entry of the daemon's own bundle: `secrets serve`, and no other command.
 *
 * Each use of an import from another file of a CommonJS build calls a getter, which slows a lease. So all that
 * a daemon always loads is one file, which this small one loads once signals are ignored.
 */
import { protectStart } from "./cli/commands/serve/protectStart.ts"

protectStart()
void import("./serveMain.ts").then(({ serveMain }) => serveMain(process.argv.slice(2)))
