/**
 * The completion script for fish, which quotes what it completes by itself.
 */
import type { Completion, Flag, Flags, CommandSpec } from "../../command/Command.ts"
import { globalFlags, visibleFlags } from "../../command/Command.ts"

export const fishScript = (specs: ReadonlyArray<CommandSpec<Flags>>): string =>
  [
    "# fish completion for secrets; made by: secrets completions fish",
    "",
    "function __secrets_command",
    "  set -l skip 0",
    "  for word in (commandline -opc)[2..-1]",
    "    if test $skip = 1",
    "      set skip 0",
    "      continue",
    "    end",
    "    switch $word",
    `      case ${Object.entries<Flag>(globalFlags)
      .filter(([, { type }]) => type === "string")
      .map(([name]) => `--${name}`)
      .join(" ")}`,
    "        set skip 1",
    "      case '-*'",
    "      case '*'",
    "        echo $word",
    "        return",
    "    end",
    "  end",
    "end",
    "",
    "function __secrets_in",
    "  contains -- (__secrets_command) $argv",
    "end",
    "",
    "function __secrets_needs_command",
    "  test -z (__secrets_command | string collect --allow-empty)",
    "end",
    "",
    "function __secrets_names",
    "  set -l words (commandline -opc)",
    "  set -l daemon",
    "  for flag in --socket --config",
    "    if set -l at (contains -i -- $flag $words)",
    "      set -a daemon $flag $words[(math $at + 1)]",
    "    end",
    "  end",
    "  $words[1] completions --names $argv[1] --timeout 0.3 $daemon 2>/dev/null </dev/null",
    "end",
    "",
    "complete -c secrets -f",
    ...visibleFlags(globalFlags).map((flag) => flagLine(undefined, flag)),
    ...specs.map(
      ({ name, summary }) => `complete -c secrets -n __secrets_needs_command -a ${name} -d ${quoted(summary)}`
    ),
    `complete -c secrets -n __secrets_needs_command -a help -d ${quoted("Show the help of a command")}`,
    `complete -c secrets -n '__secrets_in help' -a ${quoted(specs.map(({ name }) => name).join(" "))}`,
    ...specs.flatMap(linesOf),
    ""
  ].join("\n")

const linesOf = (spec: CommandSpec<Flags>): ReadonlyArray<string> => {
  const { completes, flags, name } = spec
  const condition = `-n '__secrets_in ${name}${name === "delete" ? " rm" : ""}'`
  return [
    ...(completes === undefined ? [] : [`complete -c secrets ${condition} ${argumentsOf(completes)}`]),
    ...visibleFlags(flags).map((flag) => flagLine(condition, flag))
  ]
}

const flagLine = (condition: string | undefined, [name, flag]: readonly [string, Flag]): string =>
  [
    "complete -c secrets",
    condition,
    `-l ${name}`,
    flag.short === undefined ? undefined : `-s ${flag.short}`,
    flag.type === "boolean" ? undefined : flag.completes === "file" ? "-r" : "-x",
    flag.type === "boolean" || flag.completes === undefined ? undefined : argumentsOf(flag.completes),
    `-d ${quoted(flag.summary ?? "")}`
  ]
    .filter((part) => part !== undefined)
    .join(" ")

const argumentsOf = (completes: Completion): string => {
  if (completes === "file") return "-F"
  return `-a ${quoted(typeof completes === "string" ? `(__secrets_names ${completes})` : completes.join(" "))}`
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`
