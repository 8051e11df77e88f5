/**
 * The overview of all commands: as text, and with --json as a tree.
 */
import { type Flags, type CommandSpec, specTree } from "./Command.ts"

export const helpLines = (specs: ReadonlyArray<CommandSpec<Flags>>): ReadonlyArray<string> => {
  const width = Math.max(...specs.map(({ name }) => name.length))
  return [
    "Keeps secrets encrypted and leases them to agents and workers.",
    "",
    "Usage: secrets COMMAND [flags]",
    "",
    ...specs.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "For the help of a command: secrets COMMAND --help"
  ]
}

export const helpTree = (specs: ReadonlyArray<CommandSpec<Flags>>) => ({
  commands: specs.map(specTree)
})
