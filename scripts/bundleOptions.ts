/**
 * The options of the bundler, with code splitting. The fast path is one CommonJS file,
 * main.cjs, which Node loads faster than ES modules; the helpers are another. The rest is ES modules that are loaded
 * on demand, because a busy daemon runs those faster: they share no objects with getters.
 */
import * as path from "node:path"
import type { BuildOptions } from "rolldown"
import { allSpecs } from "../src/cli/commands.ts"
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
      VERSION: JSON.stringify(version),
      // There is none in CommonJS; a library asks for its environment.
      "import.meta": "{}"
    }
  },
  output: {
    dir: "dist",
    // A query loads one file, with what it shares with other chunks.
    codeSplitting: { groups: [{ name: "main", test: /\/src\/bin\.ts$/ }] },
    minify: true
  }
} satisfies BuildOptions

/** What the fast path imports on demand: the entries of the ES modules. */
const onDemand = {
  program: "src/cli/main.ts",
  statusSession: "src/cli/commands/status/statusSession.ts",
  queryFailure: "src/cli/queryFailure.ts",
  awaitAnswer: "src/cli/commands/requests/awaitAnswer.ts",
  absence: "src/cli/command/absence.ts",
  ownership: "src/cli/command/ownership.ts",
  pathOwners: "src/process/pathOwners.ts",
  helperTargets: "src/cli/commands/helper/helperTargets.ts"
}

export const fastPathOptions = {
  ...bundleOptions,
  plugins: [
    {
      name: "import-on-demand",
      resolveId: (id: string) => {
        const found = Object.entries(onDemand).find(([, file]) => path.basename(file) === path.basename(id))
        return found === undefined ? null : { id: `./${found[0]}.mjs`, external: true }
      }
    }
  ],
  output: { ...bundleOptions.output, format: "cjs", entryFileNames: "[name].cjs", chunkFileNames: "[name]-[hash].cjs" }
} satisfies BuildOptions

export const programOptions = {
  ...bundleOptions,
  input: onDemand,
  output: { ...bundleOptions.output, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" }
} satisfies BuildOptions
