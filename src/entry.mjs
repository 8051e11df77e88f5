#!/usr/bin/env node
/**
 * The first file of the built program, copied to dist/secrets.mjs as it stands. Node 12.17
 * and later can parse it, so that an old Node prints which version is needed. The
 * program itself is main.mjs and the chunks beside it.
 */
var version = process.versions.node.split(".").map(Number)
if (version[0] < 22 || (version[0] === 22 && version[1] < 19)) {
  process.stderr.write("secrets needs Node 22.19 or newer, and this is Node " + process.versions.node + ".\n")
  process.exit(1)
}
import("./main.mjs").catch(function (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
  process.stderr.write("secrets: a file of the program is missing: " + error.message + "\n")
  process.stderr.write("  Install the whole directory dist, and link to dist/secrets.mjs\n")
  process.exit(1)
})
