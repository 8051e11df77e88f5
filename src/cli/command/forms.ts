/**
 * What all the commands look like, in the order they are shown. To know it every one
 * of them is loaded; in the built program it stands as data in the place of this file
 * (scripts/formsAsData.ts).
 */
import type { Command, Flags, Form } from "./Command.ts"
import { commands } from "../commands.ts"

export const allForms = async (): Promise<ReadonlyArray<Form<Flags>>> => {
  const all: ReadonlyArray<Command<never>> = await Promise.all(Object.values(commands).map((load) => load()))
  return all.map(({ form }) => form)
}
