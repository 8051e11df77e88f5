/**
 * secrets version: which program this is, and on what it runs.
 */
import * as Effect from "effect/Effect"
import { build, version } from "../../version.ts"
import { defineCommand } from "../command/Command.ts"

export const versionCommand = defineCommand({
  name: "version",
  summary: "Tell the version and the build of this program, and what it runs on",
  arity: [0, 0],
  flags: {},
  examples: ["secrets version", "secrets version --json"],
  run: () =>
    Effect.sync(() => {
      const { arch, platform, version: node, versions } = process
      // The binary is run by Bun, which tells the version of a Node that it resembles as well.
      const { bun } = versions
      const runtime = bun === undefined ? { node } : { bun }
      return {
        text: `agent-secrets ${version} (build ${build}), ${bun === undefined ? `Node ${node}` : `Bun ${bun}`}, ${platform}-${arch}\n`,
        result: { version, build, ...runtime, os: platform, arch }
      }
    })
})
