/**
 * All the commands at a glance, for people and, with --json, as a tree for programs.
 */
import type { Flags, CommandSpec } from "./Command.ts"
import { allFlags, usageOf } from "./Command.ts"

export const helpText = (forms: ReadonlyArray<CommandSpec<Flags>>): string => {
  const width = Math.max(...forms.map(({ name }) => name.length))
  return [
    "Keeps secrets encrypted and leases them to agents and workers.",
    "",
    "Usage: secrets COMMAND [flags]",
    "",
    ...forms.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Each has its own help: secrets COMMAND --help",
    ""
  ].join("\n")
}

export const helpTree = (forms: ReadonlyArray<CommandSpec<Flags>>) => ({
  commands: forms.map((form) => ({
    name: form.name,
    summary: form.summary,
    usage: usageOf(form),
    flags: allFlags(form).map(([name, { summary, value }]) => ({ name: `--${name}`, value, summary })),
    examples: form.examples
  }))
})
