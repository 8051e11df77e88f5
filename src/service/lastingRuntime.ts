/**
 * The path of Node that a service file names. process.execPath is a real path, and package
 * managers remove its directory with its version; most of them keep a link to the newest one.
 */

/** Links that package managers keep. */
const stableNodes = ["/opt/homebrew/bin/node", "/usr/local/bin/node", "/usr/bin/node"]

/** Returns a lasting link to the same file, or the path itself. `realPath` returns its argument if there is no such file. */
export const lastingRuntime = (execPath: string, realPath: (file: string) => string): string => {
  const real = realPath(execPath)
  // Homebrew, also on Linux: a formula of one major version, such as node@24, has no link but this one.
  const [, prefix, formula] = /^(.*)\/Cellar\/([^/]+)\/[^/]+\/bin\/node$/.exec(real) ?? []
  const opt = prefix === undefined ? [] : [`${prefix}/opt/${formula}/bin/node`]
  return [...opt, ...stableNodes].find((link) => realPath(link) === real) ?? execPath
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
