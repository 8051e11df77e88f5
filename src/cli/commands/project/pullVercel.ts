/**
 * The variables of a project at Vercel, by way of `vercel env pull`.
 *
 * That program writes a file and nothing else, so it gets one that only we can read,
 * in a directory that only we can enter; both are gone when it is read, also where
 * it failed or we were interrupted. It writes NAME="VALUE" with line breaks as \n
 * and \r and nothing else escaped, which is read back the same way.
 */
import * as Effect from "effect/Effect"
import type { ExecFileException } from "node:child_process"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { EnvVariable } from "../../../domain/envFile.ts"
import type { VercelProject } from "../../../domain/ProjectFile.ts"
import { projectFileName } from "../../../domain/ProjectFile.ts"
import { variableProblem } from "../../../domain/variable.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { printable } from "../../terminal/table.ts"
import { reasonOf } from "../../command/Output.ts"
import { readRegularFile } from "./readRegularFile.ts"
import { printWarning } from "./printWarning.ts"

/** It asks over the network, and may have to look for a newer version of itself. */
const patience = 60_000
const outputLimit = 1024 * 1024
const pulledName = "pulled.env"
/** In MiB; Vercel allows 64 KiB of variables. */
const pulledLimit = 1

/** `command` is who asks, for warnings. */
export const pullVercel = Effect.fnUntraced(function* (command: string, project: VercelProject, directory: string) {
  yield* checkLink(project, directory)
  const text = yield* Effect.acquireUseRelease(
    Effect.try({ try: makeTemporary, catch: (cause) => noRoom(cause) }),
    (temporary) => pull(path.join(temporary, pulledName), project.scope, directory),
    (temporary) => Effect.sync(() => fs.rmSync(temporary, { recursive: true, force: true }))
  )
  const pulled = parsePulledEnv(text)
  const missing = (project.required_vars ?? []).filter((name) => !pulled.some((variable) => variable.name === name))
  if (missing.length > 0) {
    return yield* failed(
      `Vercel has no ${missing.join(", ")} in ${project.scope}`,
      `${projectFileName} requires it`,
      `Add it there: vercel env add ${missing[0]} ${project.scope}`
    )
  }
  const unfit = pulled.filter(({ name }) => variableProblem(name) !== undefined).map(({ name }) => printable(name))
  if (unfit.length > 0)
    yield* printWarning(command, `left out, because no secret may be in such a variable: ${unfit.join(", ")}`)
  return pulled.filter(({ name }) => variableProblem(name) === undefined)
})

/** With the file in it that is to be written; in memory where the system has a place for that. */
const makeTemporary = (): string => {
  const directory = fs.mkdtempSync(path.join(process.env["XDG_RUNTIME_DIR"] || os.tmpdir(), "secrets-vercel-"))
  fs.writeFileSync(path.join(directory, pulledName), "", { mode: 0o600, flag: "wx" })
  return directory
}

const noRoom = (cause: unknown): CommandError =>
  new CommandError({
    message: `cannot make a temporary file (${reasonOf(cause)})`,
    fix: "See what XDG_RUNTIME_DIR and TMPDIR name",
    code: "io_error",
    exitStatus: exitStatus.failed
  })

/** What Vercel pulls is decided by the link of the directory, and not by the name in the project file. */
const checkLink = (project: VercelProject, directory: string): Effect.Effect<void, CommandError> =>
  Effect.suspend(() => {
    const file = path.join(directory, ".vercel", "project.json")
    const link = linkIn(file)
    if (link === undefined || link.includes(project.project)) return Effect.void
    // Older links hold the id alone, and a name says nothing about it.
    if (link.length < 2 && !project.project.startsWith("prj_")) return Effect.void
    return failed(
      `this directory is linked to another project than ${project.project}`,
      file,
      "Link it anew: vercel link"
    )
  })

/** The id and, where it is told, the name of the project a directory is linked to. */
const linkIn = (file: string): ReadonlyArray<string> | undefined => {
  try {
    const link: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
    if (typeof link !== "object" || link === null) return undefined
    const members = new Map<string, unknown>(Object.entries(link))
    return ["projectId", "projectName"].map((key) => members.get(key)).filter((name) => typeof name === "string")
  } catch {
    return undefined
  }
}

const pull = (file: string, scope: string, directory: string): Effect.Effect<string, CommandError> =>
  Effect.callback<string, CommandError>((resume) => {
    const args = ["env", "pull", file, "--yes", "--environment", scope]
    const options = { cwd: directory, timeout: patience, maxBuffer: outputLimit, killSignal: "SIGKILL" } as const
    const child = execFile("vercel", args, options, (error, _stdout, stderr) => {
      if (error !== null) return resume(notPulled(error, stderr))
      resume(
        Effect.filterOrElse(
          Effect.try({ try: () => readRegularFile(file, pulledLimit).text, catch: unreadable }),
          (text) => text !== "",
          () => failed("vercel has written nothing", undefined, "See what it says: vercel env ls")
        )
      )
    })
    child.stdin?.end()
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
    // It could make the directory again that is removed next, so it is waited for.
    return Effect.promise(() => {
      // What it has started may hold these, and would be waited for.
      for (const output of [child.stdout, child.stderr]) output?.destroy()
      child.kill("SIGKILL")
      return closed
    })
  })

const unreadable = (cause: unknown) =>
  failure(`what vercel has written cannot be read (${reasonOf(cause)})`, undefined, "See what it says: vercel env ls")

const notPulled = (error: ExecFileException, stderr: string) => {
  if (error.code === "ENOENT") {
    return failed(
      "the program vercel is not there",
      undefined,
      "Install it and log in: npm install -g vercel && vercel login"
    )
  }
  const said = stderr.trim().split("\n").slice(-3).map(printable).join(" / ")
  const how =
    error.killed === true ? "did not end in 60 s" : `failed (${error.code ?? error.signal ?? reasonOf(error)})`
  return failed(`vercel env pull ${how}`, said, "Log in with vercel login, and link the directory with vercel link")
}

const failure = (message: string, why: string | undefined, fix: string) =>
  new CommandError({ message, why, fix, code: "io_error", exitStatus: exitStatus.failed })

const failed = (...of: Parameters<typeof failure>) => Effect.fail(failure(...of))

/** The variables in what Vercel wrote. */
export const parsePulledEnv = (text: string): ReadonlyArray<EnvVariable> =>
  text.split("\n").flatMap((line) => {
    const [, name, value] = /^([^=#\s]+)="(.*)"$/s.exec(line) ?? []
    return name === undefined || value === undefined
      ? []
      : [{ name, value: value.replaceAll("\\n", "\n").replaceAll("\\r", "\r") }]
  })
