/**
 * secrets version: which program this is, and on what it runs.
 */
import * as Effect from "effect/Effect"
import { version } from "../version.ts"
import { define } from "./Command.ts"

export const versionCommand = define({
  name: "version",
  summary: "Tell the version of this program, and of the Node it runs with",
  arity: [0, 0],
  flags: {},
  examples: ["secrets version", "secrets version --json"],
  run: () =>
    Effect.sync(() => {
      const { arch, platform, version: node } = process
      return {
        text: `agent-secrets ${version}, Node ${node}, ${platform}-${arch}\n`,
        result: { version, node, os: platform, arch }
      }
    })
})
