/**
 * How the bundler makes the program: `main.mjs` and chunks, each loaded when a command
 * needs it.
 */
import * as path from "node:path"
import type { BuildOptions } from "rolldown"
import { allSpecs } from "../src/cli/command/specs.ts"
import { version } from "../src/version.ts"
import { buildNumber } from "./buildNumber.ts"

const unusedCurves = path.join(import.meta.dirname, "unusedCurves.ts")

export const bundleOptions = {
  input: { main: "src/bin.ts" },
  platform: "node",
  resolve: { alias: { "@noble/curves/nist.js": unusedCurves, "@noble/post-quantum/hybrid.js": unusedCurves } },
  transform: {
    target: "node22.19",
    define: {
      BUILD: JSON.stringify(buildNumber()),
      // Help, usage errors and completions then load no command.
      SPECS: JSON.stringify(await allSpecs()),
      VERSION: JSON.stringify(version)
    }
  },
  output: { dir: "dist", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs", minify: true }
} satisfies BuildOptions
