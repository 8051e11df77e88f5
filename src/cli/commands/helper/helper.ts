/**
 * secrets helper config and shim: what goes into the settings of another program, and the little
 * program that it finds by its name. The answers themselves are `runHelper.ts`.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { nodeOptions } from "../../../service/ServiceOptions.ts"
import { defineCommand } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import { readSettings } from "../../command/daemonAddress.ts"
import { loadConfig } from "../../command/settings.ts"
import { thisProgram } from "../service/renderService.ts"
import { type HelperArgs, helperSpec } from "./helperSpec.ts"
import { isProtocolName, type ProtocolName } from "./protocols.ts"
import { snippetOf } from "./snippets.ts"
import { writeShim } from "./writeShim.ts"

export const helperCommand = defineCommand({
  ...helperSpec,
  run: Effect.fnUntraced(function* (args) {
    const [subcommand = "", protocol, ...rest] = args.positionals
    if (protocol === undefined)
      return yield* failUsage(`${subcommand} names no protocol`, `For example: secrets helper ${subcommand} git`)
    if (!isProtocolName(protocol))
      return yield* failUsage(`unknown protocol ${JSON.stringify(protocol)}`, "See: secrets helper --help")
    return subcommand === "config"
      ? yield* printConfig(args, protocol, rest)
      : yield* writeShim(args, protocol, rest, yield* commandLineOf(true))
  })
})

/** Prints the snippet, and the entry of config.json that it needs and that is not there. */
const printConfig = Effect.fnUntraced(function* (
  args: HelperArgs,
  protocol: ProtocolName,
  [target, more]: ReadonlyArray<string>
) {
  if (more !== undefined)
    return yield* failUsage("config takes one target", "For example: secrets helper config git https://github.com")
  const { helpers } = yield* loadConfig(args)
  const words = yield* commandLineOf(false)
  const settings = readSettings(args)
  const file = "file" in settings ? settings.file : "config.json"
  const snippet = snippetOf(protocol, { words, target, targets: helpers, file })
  return { lines: snippet, result: { protocol, target, lines: snippet } }
})

/** Returns the absolute command line of this program; the launcher of a checkout needs no Node on the PATH. */
const commandLineOf = Effect.fnUntraced(function* (withOptions: boolean) {
  const { program, runtime } = yield* thisProgram
  if (runtime === undefined) return [program]
  const launcher = path.resolve(path.dirname(program), "../bin/secrets")
  if (fs.existsSync(launcher) && fs.existsSync(path.join(path.dirname(program), "node-options"))) return [launcher]
  return [runtime, ...(withOptions ? nodeOptions : []), program]
})
