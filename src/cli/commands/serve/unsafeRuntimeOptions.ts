/**
 * What the surroundings of a process do to a Node program before its first line:
 * options and variables that open it, load code into it or write its memory down.
 *
 * A pure judgement, by which `serve` refuses to start. It keeps accidents out, such
 * as an editor that puts a debugger into every Node. Code that was loaded before us
 * can only be noticed here, and could have hidden itself: against somebody who sets
 * the environment on purpose only the supervisor helps, by giving a clean one.
 */

export interface RuntimeEnvironment {
  /** The options on the command line of Node, before the script. */
  readonly execArgv: ReadonlyArray<string>
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface UnsafeOptions {
  /** Why the daemon does not start, with what helps; undefined if it may. */
  readonly refusal: { readonly reason: string; readonly fix: string } | undefined
  /** Variables by which something else may have been loaded into the process; nobody can tell from inside. */
  readonly suspicious: ReadonlyArray<string>
}

/**
 * Whatever is not here is refused, so that an option Node learns tomorrow is too.
 * These change how much memory there is, whom TLS trusts, how names are looked up
 * and what is said on standard error, and nothing else. None takes a file.
 */
const harmless: ReadonlySet<string> = new Set([
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

/** Variables of Node that do without an option what the refused options do. */
const harmful: ReadonlyMap<string, string> = new Map([
  ["NODE_V8_COVERAGE", "writes files about the program when it ends"],
  ["NODE_COMPILE_CACHE", "runs compiled code out of a directory"],
  // NODE_DEBUG=stream prints the first bytes of every request, and of what a rotation command prints.
  ["NODE_DEBUG", "prints what passes through the program"],
  ["NODE_DEBUG_NATIVE", "prints what passes through the program"],
  ["BUN_INSPECT", "opens a debugger"],
  ["BUN_INSPECT_CONNECT_TO", "opens a debugger"],
  ["BUN_INSPECT_PRELOAD", "loads code into the program"]
])

/** Variables with options for the runtime: Node's, and that of the binary, which is Bun. */
const optionVariables = ["NODE_OPTIONS", "BUN_OPTIONS"]
/** Each option of Bun's engine has a variable of its own; they are for looking into it. */
const ofEngine = "BUN_JSC_"

/** The loader of the system and OpenSSL run what these name. They have honest uses, so they are only told of. */
const loaders = ["LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "OPENSSL_CONF"]

export const unsafeRuntimeOptions = ({ execArgv, environment }: RuntimeEnvironment): UnsafeOptions => {
  const isSet = (name: string) => (environment[name] ?? "") !== ""
  const byVariable = optionVariables
    .map((name) =>
      refusedOption(words(environment[name] ?? ""), name, `Start it without them: env -u ${name} secrets serve`)
    )
    .find((refusal) => refusal !== undefined)
  const engine = Object.keys(environment).find((name) => name.startsWith(ofEngine) && isSet(name))
  return {
    refusal:
      byVariable ??
      refusedOption(execArgv, "the command line", "Start it without that option") ??
      refusedVariable([...harmful.keys()].find(isSet) ?? engine),
    suspicious: loaders.filter(isSet)
  }
}

const refusedOption = (given: ReadonlyArray<string>, origin: string, fix: string): UnsafeOptions["refusal"] => {
  const option = given
    .filter((word) => word.startsWith("-"))
    .map(nameOf)
    .find((name) => !harmless.has(name))
  if (option === undefined) return undefined
  return {
    reason: `Node was given the option ${option} by ${origin}; the daemon takes none that could open it, load code into it or write its memory down`,
    fix
  }
}

const refusedVariable = (name: string | undefined): UnsafeOptions["refusal"] =>
  name === undefined
    ? undefined
    : {
        reason: `the environment has ${name}, which ${harmful.get(name) ?? "changes the engine that runs the program"}`,
        fix: `Start it without it: env -u ${name} secrets serve`
      }

/** Node takes `--name=value` and `--name value`, and underscores for dashes. The value may be a path of somebody's: it is not told. */
const nameOf = (option: string): string => {
  const name = option.startsWith("--") ? (option.split("=", 1)[0] ?? "") : option.slice(0, 2)
  return name.replaceAll("_", "-")
}

/** The words of NODE_OPTIONS as Node splits them: at spaces outside of double quotes, within which a backslash quotes. */
const words = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let word: string | undefined
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    let letter = text.charAt(at)
    if (letter === '"') {
      quoted = !quoted
      continue
    }
    if (letter === " " && !quoted) {
      if (word !== undefined) found.push(word)
      word = undefined
      continue
    }
    if (letter === "\\" && quoted) {
      at += 1
      letter = text.charAt(at)
    }
    word = (word ?? "") + letter
  }
  return word === undefined ? found : [...found, word]
}
