/**
 * What all the commands look like, in the order they are shown. To know it every one
 * of them is loaded; in the built program it stands as data in the place of this file
 * (scripts/formsAsData.ts).
 */
import type { Command, Flags, CommandSpec } from "./Command.ts"
import { commands } from "../commands.ts"

export const allSpecs = async (): Promise<ReadonlyArray<CommandSpec<Flags>>> => {
  const all: ReadonlyArray<Command<never>> = await Promise.all(Object.values(commands).map((load) => load()))
  return all.map(({ spec }) => spec)
}
