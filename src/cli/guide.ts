/**
 * What can be said of a line by what the commands look like, without running one: the
 * overview, the help of a command, what is wrong with the line. No library is loaded
 * for it, and in the built program no command.
 */
import { nearest } from "../domain/nearest.ts"
import { version } from "../version.ts"
import { nameAt, read } from "./command/Command.ts"
import { nameOf } from "./commands.ts"
import { allForms } from "./command/forms.ts"
import { misuse, print, printOutput, printProblem } from "./command/Output.ts"
import { overviewText, overviewTree } from "./command/overview.ts"

/** Says it and gives the exit status; undefined where the line is right, and a command has to be run. */
export const guide = async (args: ReadonlyArray<string>): Promise<number | undefined> => {
  const { name, rest } = parts(args)
  if (name === undefined) return withoutCommand(args)
  return name === "help" ? help(rest) : withCommand(nameOf(name), rest)
}

const parts = (args: ReadonlyArray<string>) => {
  const at = nameAt(args)
  return { name: args[at], rest: [...args.slice(0, at), ...args.slice(at + 1)] }
}

/** `secrets help COMMAND` is `secrets COMMAND --help`. */
const help = (args: ReadonlyArray<string>) => {
  const { name } = parts(args)
  return name === undefined || name === "help" ? withoutCommand(args) : withCommand(nameOf(name), ["--help"])
}

const withCommand = async (name: string, args: ReadonlyArray<string>) => {
  const forms = await allForms()
  const form = forms.find((one) => one.name === name)
  if (form === undefined) {
    const meant = nearest(name, [...forms.map((one) => one.name), "help"])
    const fix = meant === undefined ? "See them all: secrets --help" : `Did you mean: secrets ${meant}`
    const problem = misuse(`there is no command ${JSON.stringify(name)}`, fix)
    return printProblem(name, args.includes("--json"), problem)
  }
  const reading = read(form, args)
  if (reading.wants === "help") return print(reading.text)
  return reading.wants === "correction" ? printProblem(name, reading.json, reading.problem) : undefined
}

const withoutCommand = async (args: ReadonlyArray<string>) => {
  const reading = read(program, args)
  if (reading.wants === "correction") return printProblem("", reading.json, reading.problem)
  const json = reading.wants === "run" && reading.json
  if (reading.wants === "run" && reading.line.given("version")) {
    return printOutput("", json, { text: `${version}\n`, result: { version } })
  }
  const forms = await allForms()
  return printOutput("", json, { text: overviewText(forms), result: overviewTree(forms) })
}

/** The program without a command. */
const program = {
  name: "",
  summary: "",
  arity: [0, 0],
  flags: { version: { type: "boolean" } },
  examples: []
} as const
