/**
 * The specs of all commands, in the order they are shown. The sources load every command
 * for them; the built program has them as data, so that help loads none.
 */
import type { Command, CommandSpec, Flags } from "./Command.ts"
import { commands } from "../commands.ts"

type CommandSpecs = ReadonlyArray<CommandSpec<Flags>>

/** Defined by scripts/build.ts. */
declare const SPECS: CommandSpecs | undefined

export const allSpecs = async (): Promise<CommandSpecs> => (typeof SPECS === "undefined" ? loadedSpecs() : SPECS)

const loadedSpecs = async (): Promise<CommandSpecs> => {
  const all: ReadonlyArray<Command<never>> = await Promise.all(Object.values(commands).map((load) => load()))
  return all.map(({ spec }) => spec)
}
