/**
 * The variables of a Vercel project, from `vercel env pull`. It can only write to a file, so
 * it gets one in a private temporary directory, which is removed in any case. It writes
 * NAME="VALUE" and escapes line breaks as \n and \r, and nothing else.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import type { VercelProject } from "../../../domain/ProjectFile.ts"
import { projectFileName } from "../../../domain/ProjectTrust.ts"
import { type EnvVariable, variableProblem } from "../../../domain/envFile.ts"
import { type ToolFailed, runTool } from "../../../process/runTool.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import type { Project } from "./findProject.ts"
import { readRegularFile } from "./foreignFile.ts"
import { makePrivateDirectory } from "./privateDirectory.ts"
import { printWarning } from "./requestedSecrets.ts"
import type { VercelLink } from "./vercelLink.ts"

/** It uses the network, also to look for a newer version of itself. */
const vercelTimeout = Duration.seconds(60)
const pulledName = "pulled.env"
/** In MiB. Vercel allows 64 KiB of variables. */
const sizeLimit = 1

export const pullVercel = Effect.fnUntraced(function* (
  command: string,
  project: VercelProject,
  { directory, link }: Project
) {
  yield* checkLink(project, directory, link)
  const text = yield* Effect.acquireUseRelease(
    Effect.try({ try: makeTemporary, catch: temporaryError }),
    (temporary) => pull(path.join(temporary, pulledName), project.scope, directory, link),
    (temporary) => Effect.sync(() => fs.rmSync(temporary, { recursive: true, force: true }))
  )
  const pulled = parsePulledEnv(text)
  const missing = (project.required_vars ?? []).filter((name) => !pulled.some((variable) => variable.name === name))
  if (missing.length > 0) {
    return yield* failure(
      `Vercel has no ${missing.map(escapeValue).join(", ")} in ${escapeValue(project.scope)}`,
      `${projectFileName} requires it`,
      `Add it there: vercel env add ${escapeValue(missing[0] ?? "")} ${escapeValue(project.scope)}`
    )
  }
  const unfit = pulled.filter(({ name }) => variableProblem(name) !== undefined).map(({ name }) => escapeValue(name))
  if (unfit.length > 0)
    yield* printWarning(command, `left out, because these variables cannot hold a secret: ${unfit.join(", ")}`)
  return pulled.filter(({ name }) => variableProblem(name) === undefined)
})

/** Makes the directory and the empty file. */
const makeTemporary = (): string => {
  const directory = makePrivateDirectory("secrets-vercel-")
  fs.writeFileSync(path.join(directory, pulledName), "", { mode: 0o600, flag: "wx" })
  return directory
}

const temporaryError = (cause: unknown): CommandError =>
  failure(`cannot make a temporary file (${reasonOf(cause)})`, undefined, "Check XDG_RUNTIME_DIR and TMPDIR")

/** Rejects a link to another project than that of the project file: Vercel pulls the linked one. */
const checkLink = (
  project: VercelProject,
  directory: string,
  link: VercelLink | undefined
): Effect.Effect<void, CommandError> => {
  const known = [link?.project, link?.projectName].filter((name) => name !== undefined)
  if (known.length === 0 || known.includes(project.project)) return Effect.void
  // Older links contain only the id, which cannot be compared with a name.
  if (known.length < 2 && !project.project.startsWith("prj_")) return Effect.void
  const file = path.join(directory, ".vercel", "project.json")
  return failure(
    `this directory is not linked to the project ${escapeValue(project.project)}`,
    escapeValue(file),
    "Link it: vercel link"
  )
}

/** Has Vercel's program use the link that was read, unless the user chose another in the environment. */
const environmentOf = (link: VercelLink | undefined): NodeJS.ProcessEnv =>
  link?.organisation === undefined || link.project === undefined || process.env["VERCEL_PROJECT_ID"] !== undefined
    ? process.env
    : { ...process.env, VERCEL_ORG_ID: link.organisation, VERCEL_PROJECT_ID: link.project }

const pull = Effect.fnUntraced(function* (
  file: string,
  scope: string,
  directory: string,
  link: VercelLink | undefined
) {
  const command = ["vercel", "env", "pull", file, "--yes", "--environment", scope] as const
  const options = { cwd: directory, env: environmentOf(link), timeout: vercelTimeout }
  const { status, stderr } = yield* Effect.mapError(runTool(command, options), notRun)
  if (status !== 0) {
    const output = stderr.trim().split("\n").slice(-3).map(escapeValue).join(" / ")
    return yield* failure(`vercel env pull failed (${status})`, output, logIn)
  }
  const text = yield* Effect.try({
    try: () => readRegularFile(file, sizeLimit).bytes.toString("utf8"),
    catch: unreadable
  })
  return text === "" ? yield* failure("vercel wrote nothing", undefined, "Check: vercel env ls") : text
})

const logIn = "Log in with vercel login, and link the directory with vercel link"

const notRun = ({ kind, reason }: ToolFailed) =>
  kind === "not-found"
    ? failure("vercel is not on the PATH", undefined, "Install it and log in: npm install -g vercel && vercel login")
    : failure(`vercel env pull: ${reason}`, undefined, logIn)

const unreadable = (cause: unknown) =>
  failure(`cannot read the file that vercel wrote (${reasonOf(cause)})`, undefined, "Check: vercel env ls")

const failure = (message: string, why: string | undefined, fix: string) =>
  new CommandError({ message, why, fix, code: "io_error", exitStatus: exitStatus.failed })

/** Parses the file that Vercel wrote. */
export const parsePulledEnv = (text: string): ReadonlyArray<EnvVariable> =>
  text.split("\n").flatMap((line) => {
    const [, name, value] = /^([^=#\s]+)="(.*)"$/s.exec(line) ?? []
    return name === undefined || value === undefined
      ? []
      : [{ name, value: value.replaceAll("\\n", "\n").replaceAll("\\r", "\r") }]
  })
