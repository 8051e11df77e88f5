/**
 * The .secrets.json that goes with an import: it gives a program the variables of the dotenv
 * file by the same names. An existing file is never replaced.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { variableFor, variableProblem } from "../../../domain/envFile.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { projectFileName } from "../../../domain/ProjectTrust.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { printNotice, reasonOf } from "../../command/Output.ts"
import type { Variable } from "./selectVariables.ts"

/** Checks that it can be written; `write` writes it. */
export const prepareProject = Effect.fnUntraced(function* (named: string, variables: ReadonlyArray<Variable>) {
  const isDirectory = fs.statSync(named, { throwIfNoEntry: false })?.isDirectory() === true
  const file = path.resolve(isDirectory ? path.join(named, projectFileName) : named)
  if (fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined) {
    return yield* failUsage(
      `${escapeValue(file)} exists already`,
      "Name another file with --project. Nothing was added"
    )
  }
  const wanted = variables.map(({ secret, variable }) => ({ name: secret, env_var: variableName(variable) }))
  const unfit = wanted.filter(({ env_var: name }) => variableProblem(name) !== undefined)
  if (unfit.length > 0) {
    const names = unfit.map(({ env_var: name }) => name).join(", ")
    printNotice(`secrets: warning: left out of ${projectFileName}, because they cannot hold a secret: ${names}`)
  }
  const text = `${JSON.stringify({ secrets: wanted.filter((one) => !unfit.includes(one)) }, undefined, 2)}\n`
  const write = Effect.try({
    try: () => fs.writeFileSync(file, text, { flag: "wx" }),
    catch: (cause) =>
      new CommandError({
        message: `the secrets were added, but ${escapeValue(file)} could not be written: ${reasonOf(cause)}`,
        code: "io_error",
        fix: "Remove the cause, then write it with --update and --project",
        exitStatus: exitStatus.failed
      })
  })
  return { file, write }
})

/** Returns the name of a variable; a dotenv file may have others, with dots and dashes. */
const variableName = (name: string): string => (variableProblem(name) === undefined ? name : variableFor(name))
