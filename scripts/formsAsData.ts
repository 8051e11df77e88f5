/**
 * What all the commands look like, as data in the bundle: to print the overview, the
 * help of a command or the script for a shell, no command has to be loaded then. It is
 * made from the definitions at the build, so that it cannot say anything else.
 */
import type { Plugin } from "esbuild"
import type { Flags, CommandSpec } from "../src/cli/command/Command.ts"
import { allSpecs } from "../src/cli/command/specs.ts"

/** Functions are left out, and JSON has no word for an arity without end. */
const endless = "no end"
export const formsAsText = (specs: ReadonlyArray<CommandSpec<Flags>>): string =>
  JSON.stringify(specs, (_, value: unknown) => (value === Number.POSITIVE_INFINITY ? endless : value)).replaceAll(
    `"${endless}"`,
    "Infinity"
  )

export const formsAsData: Plugin = {
  name: "forms as data",
  setup: (bundle) => {
    bundle.onLoad({ filter: /\/cli\/forms\.ts$/ }, async () => ({
      contents: `export const allForms = async () => ${formsAsText(await allSpecs())}`
    }))
  }
}
