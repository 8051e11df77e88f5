/**
 * Detects options and environment variables that make Node or Bun open a debugger, load
 * other code or write memory to disk before the program runs.
 *
 * A pure check; `serve` does not start if it finds any. It prevents accidents, such as an
 * editor that attaches a debugger to every Node process. It is no defence against an
 * attacker who controls the environment: code loaded before ours can hide itself.
 */

export interface RuntimeEnvironment {
  /** Node's own options, before the script on its command line. */
  readonly execArgv: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface UnsafeOptions {
  /** Why the daemon must not start, and how to fix it. */
  readonly refusal: { readonly reason: string; readonly fix: string } | undefined
  /** Variables that may have loaded other code into the process, which cannot be verified from inside. */
  readonly suspicious: ReadonlyArray<string>
}

/**
 * An allow list, so that options of future Node versions are rejected. These only change memory limits, TLS trust,
 * name resolution and warnings. None names a file.
 */
const allowedNodeOptions: ReadonlySet<string> = new Set([
  "--disable-sigusr1",
  "--max-old-space-size",
  "--max-old-space-size-percentage",
  "--max-semi-space-size",
  "--min-semi-space-size",
  "--max-heap-size",
  "--v8-pool-size",
  "--stack-trace-limit",
  "--no-warnings",
  "--no-deprecation",
  "--disable-warning",
  "--use-openssl-ca",
  "--use-system-ca",
  "--use-bundled-ca",
  "--dns-result-order",
  "--no-network-family-autoselection",
  "--network-family-autoselection-attempt-timeout"
])

/** Variables with the effect of a rejected option. */
const forbiddenVariables: ReadonlyMap<string, string> = new Map([
  ["NODE_V8_COVERAGE", "writes coverage files when the program ends"],
  ["NODE_COMPILE_CACHE", "runs compiled code from a directory"],
  // NODE_DEBUG=stream prints the first bytes of every request and of a rotation command's output.
  ["NODE_DEBUG", "prints data that passes through the program"],
  ["NODE_DEBUG_NATIVE", "prints data that passes through the program"],
  ["BUN_INSPECT", "opens a debugger"],
  ["BUN_INSPECT_CONNECT_TO", "opens a debugger"],
  ["BUN_INSPECT_PRELOAD", "loads code into the program"]
])

/** Options for Node, and for Bun, which runs the binary. */
const optionVariables = ["NODE_OPTIONS", "BUN_OPTIONS"]
/** Prefix of the debugging options of Bun's engine. */
const enginePrefix = "BUN_JSC_"

/** The dynamic linker and OpenSSL load what these name. They have legitimate uses, so `serve` only warns. */
const loaderVariables = ["LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "OPENSSL_CONF"]

export const unsafeRuntimeOptions = ({ execArgv, environment }: RuntimeEnvironment): UnsafeOptions => {
  const isSet = (name: string) => (environment[name] ?? "") !== ""
  const inVariable = optionVariables
    .map((name) =>
      refusedOption(words(environment[name] ?? ""), `in ${name}`, `Unset it: env -u ${name} secrets serve`)
    )
    .find((refusal) => refusal !== undefined)
  const engine = Object.keys(environment).find((name) => name.startsWith(enginePrefix) && isSet(name))
  return {
    refusal:
      inVariable ??
      refusedOption(execArgv, "on the command line", "Start the daemon without that option") ??
      refusedVariable([...forbiddenVariables.keys()].find(isSet) ?? engine),
    suspicious: loaderVariables.filter(isSet)
  }
}

const refusedOption = (given: ReadonlyArray<string>, origin: string, fix: string): UnsafeOptions["refusal"] => {
  const option = given
    .filter((word) => word.startsWith("-"))
    .map(nameOf)
    .find((name) => !allowedNodeOptions.has(name))
  return option === undefined
    ? undefined
    : {
        reason: `unsafe runtime option ${option} ${origin}: it may open a debugger, load code or write memory to disk`,
        fix
      }
}

const refusedVariable = (name: string | undefined): UnsafeOptions["refusal"] =>
  name === undefined
    ? undefined
    : {
        reason: `unsafe environment variable ${name}: it ${forbiddenVariables.get(name) ?? "changes the JavaScript engine"}`,
        fix: `Unset it: env -u ${name} secrets serve`
      }

/** Returns the name alone, because the value may be private. Node accepts underscores in place of dashes. */
const nameOf = (option: string): string => {
  const name = option.startsWith("--") ? (option.split("=", 1)[0] ?? "") : option.slice(0, 2)
  return name.replaceAll("_", "-")
}

/** Splits NODE_OPTIONS as Node does: at spaces outside double quotes, inside which a backslash escapes. */
const words = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:[^ "]|"(?:[^"\\]|\\.)*"?)+/gs)].map(([word]) =>
    word.replaceAll(/"((?:[^"\\]|\\.)*)"?/gs, (_, inner: string) => inner.replaceAll(/\\(.)/gs, "$1"))
  )
