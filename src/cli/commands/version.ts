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
    Effect.sync(() => ({ lines: [describeProgram()], result: { version, build, ...runtime(), os: platform, arch } }))
})

const { arch, platform } = process

/** Returns the runtime. Bun, which runs the binary, also reports a Node version. */
const runtime = (): { readonly node: string } | { readonly bun: string } => {
  const { version: node, versions } = process
  return versions["bun"] === undefined ? { node } : { bun: versions["bun"] }
}

/** Returns version, build, runtime and system in one line. */
export const describeProgram = (): string => {
  const [[name = "", number = ""] = []] = Object.entries(runtime())
  return `agent-secrets ${version} (build ${build}), ${name === "node" ? "Node" : "Bun"} ${number}, ${platform}-${arch}`
}
