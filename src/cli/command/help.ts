/**
 * The help: of a command, and the overview of all of them; as text, and with --json as a tree.
 */
import { wrapBehind, wrapText } from "../../domain/wrapText.ts"
import { aliasesOf, resolveAlias } from "./aliases.ts"
import { allFlags, type CommandSpec, type Flag, type Flags, usageOf } from "./Command.ts"
import type { Output } from "./Output.ts"

/** Returns what other names of a command do, for its documents. */
export const alsoOf = (name: string): ReadonlyArray<string> =>
  aliasesOf(name).map((alias) => {
    const [, ...flags] = resolveAlias(alias)
    return `secrets ${[alias, ...(flags.length === 0 ? [] : [`(with ${flags.join(" ")})`])].join(" ")}`
  })

export const commandHelp = (spec: CommandSpec<Flags>): Output => ({ lines: helpOf(spec), result: specTree(spec) })

export const helpLines = (specs: ReadonlyArray<CommandSpec<Flags>>): ReadonlyArray<string> => {
  const width = Math.max(...specs.map(({ name }) => name.length))
  return [
    "Keeps secrets encrypted and leases them to agents and workers.",
    "",
    "Usage: secrets COMMAND [flags]",
    "",
    ...specs.flatMap(({ name, summary }) => wrapBehind(`  ${name.padEnd(width)}  `, summary, columns)),
    "",
    "For the help of a command: secrets COMMAND --help"
  ]
}

export const helpTree = (specs: ReadonlyArray<CommandSpec<Flags>>) => ({
  commands: specs.map(specTree)
})

/** Formats a flag for the help, with the long names aligned. */
const wordOf = (name: string, { short, value }: Flag): string =>
  `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`

/** Describes a command as `--help --json` prints it. */
const specTree = (spec: CommandSpec<Flags>) => ({
  name: spec.name,
  aliases: aliasesOf(spec.name),
  summary: spec.summary,
  usage: usageOf(spec),
  flags: allFlags(spec).map(([name, { summary, value, variable }]) => ({
    name: `--${name}`,
    value,
    summary,
    variable
  })),
  examples: spec.examples
})

/** The width of the help. */
const columns = 80

/** Breaks paragraphs, but no line that begins with a blank: an example. */
const paragraphsOf = (about: string): ReadonlyArray<string> =>
  about
    .replaceAll(/(^[^ \n].*)\n(?=[^ \n])/gm, "$1 ")
    .split("\n")
    .flatMap((line) => (/^( |$)/.test(line) ? [line] : wrapText(line, columns)))

const helpOf = (spec: CommandSpec<Flags>): ReadonlyArray<string> => {
  const also = alsoOf(spec.name)
  const rows = allFlags(spec).map(([name, flag]) => [wordOf(name, flag), flag.summary ?? ""] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `${spec.summary}.`,
    "",
    ...(spec.about === undefined ? [] : [...paragraphsOf(spec.about), ""]),
    ...wrapBehind("Usage: ", usageOf(spec), columns),
    ...(also.length === 0 ? [] : [`Also:  ${also.join(", ")}`]),
    "",
    ...rows.flatMap(([left, right]) => wrapBehind(`  ${left.padEnd(width)}  `, right, columns)),
    "",
    "Examples:",
    ...spec.examples.map((example) => `  ${example}`)
  ]
}
