/**
 * secrets helper config and shim: what goes into the settings of another program, and the little
 * program that it finds by its name. The answers themselves are `runHelper.ts`.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { quoteWord } from "../../../domain/shellWord.ts"
import { nodeOptions } from "../../../service/ServiceOptions.ts"
import { defineCommand } from "../../command/Command.ts"
import { call } from "../../../rpc/client/client.ts"
import { failUsage } from "../../command/CommandError.ts"
import { readSettings } from "../../command/settingsFile.ts"
import { printNotice } from "../../command/Output.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import { thisProgram } from "../service/renderService.ts"
import { type HelperArgs, helperSpec } from "./helperSpec.ts"
import { isProtocolName, type ProtocolName, protocols } from "./protocols.ts"
import { ownPlace, placeOf, snippetOf } from "./snippets.ts"
import { shimOf, writeShim } from "./writeShim.ts"

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

/** Prints the snippet, and on standard error what it needs and is not there: the output may go into a file or a shell. */
const printConfig = Effect.fnUntraced(function* (
  args: HelperArgs,
  protocol: ProtocolName,
  [target, more]: ReadonlyArray<string>
) {
  if (more !== undefined)
    return yield* failUsage("config takes one target", "For example: secrets helper config git https://github.com")
  const { helpers } = yield* loadConfig(args)
  const settings = readSettings(args)
  const file = "file" in settings ? settings.file : "config.json"
  const { takesName } = yield* Effect.promise(protocols[protocol])
  const words = takesName ? [target ?? "NAME"] : []
  const place = placeOf(protocol)
  const shim = (yield* shimOf(args, protocol, words, place)).file
  const context = { program: yield* commandLineOf(false), target, targets: helpers, shim }
  const { entry, lines, secrets } = snippetOf(protocol, context)
  const directory = args.option("dir") ?? (place === ownPlace ? undefined : `~/${place}`)
  const where = directory === undefined ? "" : ` --dir ${directory}`
  const missing = [
    ...(entry === undefined ? [] : [`target in ${escapeValue(file)}, where NAME is a secret: ${entry}`]),
    ...(yield* unknownSecrets(args, secrets)).map((name) => `secret: secrets add ${quoteWord(name)}`),
    ...(place === undefined || fs.existsSync(shim) ? [] : [`program: secrets helper shim ${protocol}${where}`])
  ]
  for (const one of missing) printNotice(`secrets helper: missing ${one}`)
  return { lines, result: { protocol, target, lines, missing } }
})

/** Returns which of the secrets do not exist; none while nobody can say that. */
const unknownSecrets = Effect.fnUntraced(
  function* (args: HelperArgs, names: ReadonlyArray<string>) {
    if (names.length === 0) return []
    const { secrets } = yield* call(
      yield* loadDaemon(args),
      "secrets.list",
      { every: true },
      { secrets: [{ name: "" }] }
    )
    return names.filter((name) => !secrets.some((one) => one.name === name))
  },
  Effect.orElseSucceed(() => [])
)

/** Returns the absolute command line of this program; the launcher of a checkout needs no Node on the PATH. */
const commandLineOf = Effect.fnUntraced(function* (withOptions: boolean) {
  const { program, runtime } = yield* thisProgram
  if (runtime === undefined) return [program]
  const launcher = path.resolve(path.dirname(program), "../bin/secrets")
  if (fs.existsSync(launcher) && fs.existsSync(path.join(path.dirname(program), "node-options"))) return [launcher]
  return [runtime, ...(withOptions ? nodeOptions : []), program]
})
