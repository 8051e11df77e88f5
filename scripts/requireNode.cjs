/**
 * Ends a build without what npm installs, and one by a Node that cannot run its scripts, which are TypeScript. On Linux
 * npm installs the right one. Old versions of Node can parse this file.
 */
const [major, minor] = process.versions.node.split(".").map(Number)
if (!require("fs").existsSync(__dirname + "/../node_modules")) {
  process.stderr.write("what the build needs is not installed\n  Run: npm ci\n")
  process.exitCode = 1
} else if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write("Node " + process.versions.node + " is too old: 22.19 or newer is needed\n")
  process.stderr.write("  Put a newer Node first on the PATH, and run npm ci again\n")
  process.exitCode = 1
}
