#!/bin/sh
":" //; { true 3>&1; } 2>/dev/null || exec 1</dev/null; exec node -- "$0" "$@"
/**
 * The first file of the built program, copied to dist/secrets.mjs as it stands. Old versions
 * of Node can parse it, from 12.17 on, and print which version is needed. The program
 * itself is main.cjs and the files beside it; the daemon is serve.cjs.
 *
 * A shell reads the second line alone. Node would open /dev/null in place of a closed standard
 * output, and what is printed would be lost in silence; writing to this one fails.
 * Without the two hyphens, Node would take --env-file of `exec` for its own option, and run what
 * NODE_OPTIONS in that file names.
 */
import { createRequire } from "node:module"

const version = process.versions.node.split(".").map(Number)
if (version[0] < 22 || (version[0] === 22 && version[1] < 19)) {
  process.stderr.write("secrets: Node " + process.versions.node + " is too old: 22.19 or newer is needed\n")
  process.stderr.write("  Put a newer Node first on the PATH, or install the binary, which needs none\n")
  process.exit(1)
}
// Help loads no daemon.
const isDaemon = process.argv[2] === "serve" && !process.argv.includes("--help") && !process.argv.includes("-h")
try {
  createRequire(import.meta.url)(isDaemon ? "./serve.cjs" : "./main.cjs")
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error
  process.stderr.write(
    "secrets: a file of the program is missing: " + error.message.split("\n")[0].replace(/[^ -~]/g, "?") + "\n"
  )
  process.stderr.write("  Install the whole directory dist, and link to dist/secrets.mjs\n")
  process.exit(1)
}
