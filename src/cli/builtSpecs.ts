/**
 * The specs of all commands as data, so that the help loads no command. It is a file of its
 * own, because most commands need none but their own spec.
 */
import type { CommandSpec, Flags } from "./command/Command.ts"

/** Defined by scripts/bundleOptions.ts. */
declare const SPECS: ReadonlyArray<CommandSpec<Flags>> | undefined

/** Holds them in the built program; undefined where the source runs. */
export const builtSpecs = typeof SPECS === "undefined" ? undefined : SPECS
