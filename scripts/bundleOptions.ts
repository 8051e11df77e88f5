/**
 * The options of the bundler, with code splitting. All files are CommonJS, which Node loads in less time than ES modules; the binary
 * has its own format.
 */
import * as path from "node:path"
import type { BuildOptions } from "rolldown"
import { allSpecs } from "../src/cli/commands.ts"
import { version } from "../src/version.ts"
import { buildNumber } from "./buildNumber.ts"

const unusedCurves = path.join(import.meta.dirname, "unusedCurves.ts")

const common = {
  platform: "node",
  resolve: { alias: { "@noble/curves/nist.js": unusedCurves, "@noble/post-quantum/hybrid.js": unusedCurves } },
  transform: {
    target: "node22.19",
    define: {
      BUILD: JSON.stringify(buildNumber()),
      // Help, usage errors and completions then load no command.
      SPECS: JSON.stringify(await allSpecs()),
      VERSION: JSON.stringify(version),
      // There is none in CommonJS; a library asks for its environment.
      "import.meta": "{}"
    }
  }
} satisfies BuildOptions

const output = { dir: "dist", format: "cjs", entryFileNames: "[name].cjs", minify: true } as const

/** The fast path is one file, main.cjs; what it imports on demand is in others. */
export const bundleOptions = {
  ...common,
  input: { main: "src/bin.ts" },
  output: {
    ...output,
    chunkFileNames: "[name]-[hash].cjs",
    // A query loads one file, with what it shares with other chunks.
    codeSplitting: { groups: [{ name: "main", test: /\/src\/bin\.ts$/ }] }
  }
} satisfies BuildOptions

/** What a daemon always loads is one file, which serve.cjs loads. */
export const daemonOptions = {
  ...common,
  // What is imported on demand elsewhere is in the one file on purpose.
  checks: { ineffectiveDynamicImport: false },
  input: { serve: "src/serve.ts" },
  output: {
    ...output,
    chunkFileNames: "serve-[name]-[hash].cjs",
    codeSplitting: {
      groups: [
        // With what both import, so that it needs nothing of the large file.
        { name: "serve", test: /\/src\/serve\.ts$/, priority: 2 },
        { name: "daemon", test: /\/src\/serveMain\.ts$/, priority: 1 }
      ]
    }
  }
} satisfies BuildOptions
