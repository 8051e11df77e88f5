/**
 * Other names for commands that people try, each with the words that it stands for. It loads
 * nothing: the fast path uses it.
 */
const aliases: Readonly<Record<string, readonly [name: string, ...flags: ReadonlyArray<string>]>> = {
  ls: ["list"],
  rm: ["delete"],
  remove: ["delete"],
  run: ["exec"],
  set: ["add", "--update"],
  info: ["show"],
  describe: ["show"]
}

/** Returns the command and the flags that a name stands for. */
export const resolveAlias = (given: string): readonly [name: string, ...flags: ReadonlyArray<string>] =>
  (Object.hasOwn(aliases, given) ? aliases[given] : undefined) ?? [given]

/** Returns the other names of a command. */
export const aliasesOf = (name: string): ReadonlyArray<string> =>
  Object.keys(aliases).filter((alias) => aliases[alias]?.[0] === name)
