/**
 * Prints help and usage errors from the specs of the commands, without loading a command
 * or a library.
 */
import { closestMatch } from "../domain/closestMatch.ts"
import { version } from "../version.ts"
import { findCommand, parseArguments } from "./command/Command.ts"
import { allSpecs } from "./commands.ts"
import { usageError, printLines, printOutput, printProblem } from "./command/Output.ts"
import { helpLines, helpTree } from "./command/help.ts"

/** Returns the exit status; undefined if the arguments are right and the command has to run. */
export const usage = async (args: ReadonlyArray<string>): Promise<number | undefined> => {
  const { name, rest } = findCommand(args)
  if (name === undefined) return withoutCommand(args)
  return name === "help" ? help(rest) : withCommand(name, rest)
}

/** Prints for `secrets help COMMAND` what `secrets COMMAND --help` prints. */
const help = (args: ReadonlyArray<string>) => {
  const { name } = findCommand(args)
  return name === undefined || name === "help" ? withoutCommand(args) : withCommand(name, ["--help"])
}

const withCommand = async (name: string, args: ReadonlyArray<string>) => {
  const specs = await allSpecs()
  const spec = specs.find((one) => one.name === name)
  if (spec === undefined) {
    const meant = closestMatch(name, [...specs.map((one) => one.name), "help"])
    const fix = meant === undefined ? "See all commands: secrets --help" : `Did you mean: secrets ${meant}`
    const problem = usageError(`unknown command ${JSON.stringify(name)}`, fix)
    return printProblem(name, args.includes("--json"), problem)
  }
  const reading = parseArguments(spec, args)
  if (reading.kind === "help") return printLines(reading.lines)
  return reading.kind === "usage-error" ? printProblem(name, reading.json, reading.problem) : undefined
}

const withoutCommand = async (args: ReadonlyArray<string>) => {
  const reading = parseArguments(program, args)
  if (reading.kind === "usage-error") return printProblem("", reading.json, reading.problem)
  const json = reading.kind === "run" && reading.json
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
