/**
 * Bundles the program into one file, dist/secrets.mjs, that runs with Node alone.
 *
 * It is installed as `secrets`, without an ending, so it must be understood both as
 * a module and as a script: there is no import and no require in it, only
 * `process.getBuiltinModule`. And what stands first must be understood by any Node,
 * for it is there to say that this one is too old. Behind it stands what `serve`
 * cannot wait for until the program is loaded: Node would open a debugger on SIGUSR1.
 *
 * Everything else stands as texts in parts, which cost a twentieth of the time of code to
 * pass over, and are compiled when they are needed. All is minified because Node reads
 * all of it at each start.
 */
import type { BuildOptions } from "esbuild"
import { chmod, mkdir, writeFile } from "node:fs/promises"
import { ignoredSignals } from "../src/cli/commands/serve/signals.ts"
import { version } from "../src/version.ts"
import { asTexts } from "./asTexts.ts"
import { buildNumber } from "./buildNumber.ts"
import { codeCache } from "./codeCache.ts"
import { formsAsData } from "./formsAsData.ts"
import { lateCrypto } from "./lateCrypto.ts"
import { leftOut } from "./leftOut.ts"

const oldest = [22, 19] as const

/** While a debugger is open, Node takes no listener for SIGPROF, then or later; `serve` adds it when none is. */
const early = ignoredSignals.filter((signal) => signal !== "SIGPROF")

const banner = `#!/usr/bin/env node
(function () {
  var version = process.versions.node.split(".").map(Number);
  if (version[0] < ${oldest[0]} || (version[0] === ${oldest[0]} && version[1] < ${oldest[1]})) {
    process.stderr.write("secrets needs Node ${oldest.join(".")} or newer, and this is Node " + process.versions.node + ".\\n");
    process.exit(1);
  }
  if (process.argv.indexOf("serve", 2) > 0) {
    ${JSON.stringify(early)}.forEach(function (signal) {
      try { process.on(signal, function () {}); } catch (error) { /* This system has no such signal. */ }
    });
    if (process.execArgv.indexOf("--disable-sigusr1") < 0) {
      var debug = process.getBuiltinModule("node:inspector");
      if (debug.url() !== undefined) {
        debug.close();
        process.stderr.write("secrets: a debugger was open before the program; it is closed\\n");
      }
    }
  }
})();
`

const common = {
  bundle: true,
  platform: "node",
  format: "iife",
  target: "node18",
  mainFields: ["module", "main"],
  legalComments: "none",
  define: { BUILD: JSON.stringify(buildNumber()), VERSION: JSON.stringify(version) },
  plugins: [formsAsData, lateCrypto, leftOut],
  logLevel: "warning"
} satisfies BuildOptions

const program = "dist/secrets.mjs"
const { id, parts, text } = await asTexts("src/bin.ts", "src/cli/whole.ts", common)
await mkdir("dist", { recursive: true })
await writeFile(program, banner + text)
await chmod(program, 0o755)
await codeCache(program, parts, id)
