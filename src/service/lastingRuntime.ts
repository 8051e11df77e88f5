/**
 * The paths of Node and of the program that a service file names. Both are real paths, and package
 * managers remove their directories with a version; most of them keep a link to the newest one.
 */

/** Links that package managers keep. */
const stableNodes = ["/opt/homebrew/bin/node", "/usr/local/bin/node", "/usr/bin/node"]

/** Returns a lasting link to the same file, or the path itself. `realPath` returns its argument if there is no such file. */
export const lastingRuntime = (execPath: string, realPath: (file: string) => string): string => {
  const real = realPath(execPath)
  return [...homebrewLink(real), ...stableNodes].find((link) => realPath(link) === real) ?? execPath
}

/** Returns a lasting link to the program, or the path itself. */
export const lastingProgram = (program: string, realPath: (file: string) => string): string =>
  homebrewLink(realPath(program)).find((link) => realPath(link) === realPath(program)) ?? program

/** Returns the link of Homebrew, also on Linux. A formula of one major version, such as node@24, has no other. */
const homebrewLink = (real: string): ReadonlyArray<string> => {
  const [, prefix, formula, rest] = /^(.*)\/Cellar\/([^/]+)\/[^/]+\/(.*)$/.exec(real) ?? []
  return prefix === undefined ? [] : [`${prefix}/opt/${formula}/${rest}`]
}

const versionManagers: ReadonlyArray<readonly [name: string, pattern: RegExp]> = [
  ["nvm", /\/\.?nvm\/versions\//],
  ["fnm", /\/(\.?fnm|fnm_multishells)\//],
  ["mise", /\/mise\/installs\//],
  ["volta", /\/\.?volta\//],
  ["asdf", /\/\.?asdf\/installs\//]
]

/** Returns a remark if the path goes with one version of Node. */
export const runtimeRemark = (runtime: string | undefined): string | undefined => {
  if (runtime === undefined) return undefined
  const [manager] = versionManagers.find(([, pattern]) => pattern.test(runtime)) ?? []
  return manager === undefined
    ? undefined
    : `The service runs a Node of ${manager}, and ends when that version is removed. Then install it again, or use the binary`
}
