/**
 * secrets version: prints the version, the build and the runtime.
 */
import * as Effect from "effect/Effect"
import { build, version } from "../../version.ts"
import { defineCommand } from "../command/Command.ts"

export const versionCommand = defineCommand({
  name: "version",
  summary: "Print the version, the build and the runtime",
  arity: [0, 0],
  flags: {},
  examples: ["secrets version", "secrets version --json"],
  run: () =>
    Effect.sync(() => {
      const { arch, platform, version: node, versions } = process
      // Bun, which runs the binary, also reports a Node version.
      const { bun } = versions
      const runtime = bun === undefined ? { node } : { bun }
      return {
        lines: [
          `agent-secrets ${version} (build ${build}), ${bun === undefined ? `Node ${node}` : `Bun ${bun}`}, ${platform}-${arch}`
        ],
        result: { version, build, ...runtime, os: platform, arch }
      }
    })
})
