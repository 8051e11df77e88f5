/**
 * Prints help and usage errors from the specs of the commands, without loading a command
 * or a library.
 */
import { closestMatch } from "../domain/closestMatch.ts"
import { version } from "../version.ts"
import { type CommandSpec, findCommand, type Flags, parseArguments } from "./command/Command.ts"
import { allSpecs } from "./commands.ts"
import { type Problem, usageError, printOutput, printProblem } from "./command/Output.ts"
import { commandHelp, helpLines, helpTree } from "./command/help.ts"

/** Returns the exit status; undefined if the arguments are right and the command has to run. */
export const usage = async (args: ReadonlyArray<string>): Promise<number | undefined> => {
  const { name, rest } = findCommand(args)
  if (name === undefined) return withoutCommand(args)
  return name === "help" ? help(rest) : withCommand(name, rest)
}

/** Prints for `secrets help COMMAND` what `secrets COMMAND --help` prints. */
const help = (args: ReadonlyArray<string>) => {
  const { name } = findCommand(args)
  const flags = args.filter((word) => word === "--json")
  return name === undefined || name === "help" ? withoutCommand(args) : withCommand(name, ["--help", ...flags])
}

const withCommand = async (name: string, args: ReadonlyArray<string>) => {
  const specs = await allSpecs()
  const spec = specs.find((one) => one.name === name)
  if (spec === undefined) {
    return printProblem(name, args.includes("--json"), unknownCommand(name, specs))
  }
  const reading = parseArguments(spec, args)
  if (reading.kind === "help") return printOutput(name, reading.json, commandHelp(spec))
  return reading.kind === "usage-error" ? printProblem(name, reading.json, reading.problem) : undefined
}

const unknownCommand = (name: string, specs: ReadonlyArray<CommandSpec<Flags>>): Problem => {
  const message = `unknown command ${JSON.stringify(name)}`
  const instead = insteadOf.get(name)
  if (instead !== undefined) return { ...usageError(message, instead.fix), why: instead.why }
  const meant = closestMatch(name, [...specs.map((one) => one.name), "help"])
  return usageError(
    message,
    meant === undefined ? "See all commands: secrets --help" : `Did you mean: secrets ${meant}`
  )
}

interface Instead {
  readonly fix: string
  readonly why?: string
}

const leaseInstead: Instead = {
  why: "a value is printed only with a lease, which the audit log records and which ends",
  fix: "Lease it: secrets lease NAME. For one program: secrets exec --secret NAME -- PROGRAM"
}

/** What to use for a word that people try, and that is no other name of one command. */
const insteadOf: ReadonlyMap<string, Instead> = new Map<string, Instead>([
  ...["get", "read", "reveal", "cat", "view", "print"].map((word) => [word, leaseInstead] as const),
  ...["start", "stop", "restart", "install", "uninstall", "logs"].map(
    (word) => [word, { fix: `Use: secrets daemon ${word}` }] as const
  ),
  ["killswitch", { fix: "Use: secrets revoke --all. To stop new leases as well: secrets lock" }],
  ["import", { fix: "Use: secrets add --from-env FILE" }],
  ["export", { fix: "Use: secrets env --file FILE. Without a file: secrets exec -- PROGRAM" }],
  ["edit", { fix: "Use: secrets update NAME" }],
  ["ps", { fix: "Use: secrets leases" }],
  ["log", { fix: "Use: secrets audit" }],
  ["history", { fix: "Use: secrets audit --secret NAME" }],
  ["trust", { fix: "Use: secrets allow" }],
  ...["mv", "rename", "cp"].map(
    (word) => [word, { fix: "Add it under the new name: secrets add NAME. Then: secrets delete NAME" }] as const
  )
])

const withoutCommand = async (args: ReadonlyArray<string>) => {
  const reading = parseArguments(program, args)
  if (reading.kind === "usage-error") return printProblem("", reading.json, reading.problem)
  const { json } = reading
  if (reading.kind === "run" && reading.args.flag("version")) {
    return printOutput("", json, { lines: [version], result: { version } })
  }
  const specs = await allSpecs()
  return printOutput("", json, { lines: helpLines(specs), result: helpTree(specs) })
}

/** The program without a command. */
const program = {
  name: "",
  summary: "",
  arity: [0, 0],
  flags: { version: { type: "boolean" } },
  examples: []
} as const
