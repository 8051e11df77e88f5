/**
 * The environment of a program that works for us: an allow list. Ours may hold credentials of
 * other programs, and variables that load code.
 */
import { absoluteEntries } from "./paths.ts"

type Variables = Readonly<Record<string, string | undefined>>

/** What a program needs for its user, its language and its temporary files. */
const common: ReadonlySet<string> = new Set("HOME USER LOGNAME SHELL LANG LC_ALL TZ TMPDIR".split(" "))

/** Returns PATH, what every program needs, and `more`. */
export const childEnvironment = (
  environment: Variables,
  more: (name: string) => boolean = () => false
): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value !== undefined && (common.has(name) || more(name)) ? [[name, value]] : []
    )
  ),
  PATH: absoluteEntries(environment["PATH"])
})
