/**
 * Bundles the program into one file, dist/secrets.mjs, that runs with Node alone.
 *
 * What stands first in the bundle must be understood by any Node, for it is there
 * to say that this one is too old.
 */
import { build } from "esbuild"
import { chmod } from "node:fs/promises"

const oldest = "22.19"

const banner = `#!/usr/bin/env node
import { createRequire as secretsRequire } from "node:module";
const require = secretsRequire(import.meta.url);
{
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [leastMajor, leastMinor] = [${oldest.split(".").join(", ")}];
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    process.stderr.write("secrets needs Node ${oldest} or newer, and this is Node " + process.versions.node + ".\\n");
    process.exit(1);
  }
}`

await build({
  entryPoints: ["src/bin.ts"],
  outfile: "dist/secrets.mjs",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  mainFields: ["module", "main"],
  minifySyntax: true,
  legalComments: "none",
  banner: { js: banner },
  logLevel: "warning"
})
await chmod("dist/secrets.mjs", 0o755)
