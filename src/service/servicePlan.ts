/**
 * The plan of an installation or a removal: a pure function of the files on disk and the
 * files that should exist. A file that a person edited, or that this command did not write,
 * is a conflict. With force it is replaced, and kept as a backup.
 */
import * as Result from "effect/Result"
import * as Data from "effect/Data"
import type { InstalledFile, ServiceFile } from "./ServiceFile.ts"
import { hasSocket, readStamp } from "./ServiceFile.ts"
import type { Supervisor, SupervisorStep } from "./Supervisor.ts"

/** `backup`: the path that keeps the previous file. */
export type FileChangeStep =
  | { readonly kind: "write"; readonly path: string; readonly text: string; readonly backup: string | undefined }
  | { readonly kind: "remove"; readonly path: string; readonly backup: string | undefined }

export interface ServicePlan {
  /** Stops the service; empty if there is none. */
  readonly before: ReadonlyArray<SupervisorStep>
  readonly changes: ReadonlyArray<FileChangeStep>
  readonly after: ReadonlyArray<SupervisorStep>
}

/** A file that differs from what this command wrote is at a path of the service. */
export class FileConflict extends Data.TaggedError("FileConflict")<{ readonly path: string; readonly why: string }> {
  override get message() {
    return `${this.path} ${this.why}`
  }
}

export interface PlanInput {
  readonly supervisor: Pick<Supervisor, "steps" | "reload">
  readonly installed: ReadonlyArray<InstalledFile>
  /** Whether the supervisor knows the service. */
  readonly loaded: boolean
  readonly force: boolean
}

/** Returns undefined if nothing has to change. `rendered` are the stamped files that should exist. */
export const planInstall = (
  input: PlanInput,
  rendered: ReadonlyArray<ServiceFile>
): Result.Result<ServicePlan | undefined, FileConflict> => {
  const { installed, loaded, supervisor } = input
  const written = rendered.filter(
    ({ path, text }) => !installed.some((file) => file.path === path && file.text === text)
  )
  const removed = presentIn(installed).filter(({ path }) => !rendered.some((file) => file.path === path))
  if (written.length === 0 && removed.length === 0 && loaded) return Result.succeed(undefined)
  return planOf(input, [...written.map(write), ...removed.map(remove)], supervisor.steps("load", rendered.length > 1))
}

/** Returns undefined if there is nothing to remove. */
export const planUninstall = (input: PlanInput): Result.Result<ServicePlan | undefined, FileConflict> => {
  const present = presentIn(input.installed)
  if (present.length === 0 && !input.loaded) return Result.succeed(undefined)
  return planOf(input, present.map(remove), input.supervisor.reload)
}

const presentIn = (installed: ReadonlyArray<InstalledFile>) => installed.filter(({ text }) => text !== undefined)

const write = ({ path, text }: ServiceFile): FileChangeStep => ({ kind: "write", path, text, backup: undefined })
const remove = ({ path }: InstalledFile): FileChangeStep => ({ kind: "remove", path, backup: undefined })

const planOf = (
  { force, installed, loaded, supervisor }: PlanInput,
  changes: ReadonlyArray<FileChangeStep>,
  after: ReadonlyArray<SupervisorStep>
): Result.Result<ServicePlan, FileConflict> => {
  const checked = changes.map((change) => {
    const why = conflictIn(installed.find(({ path }) => path === change.path)?.text)
    return { change: why === undefined ? change : { ...change, backup: `${change.path}.bak` }, why }
  })
  for (const { change, why } of checked) {
    if (why !== undefined && !force) return Result.fail(new FileConflict({ path: change.path, why }))
  }
  const running = loaded || presentIn(installed).length > 0
  return Result.succeed({
    before: running ? supervisor.steps("unload", hasSocket(installed)) : [],
    changes: checked.map(({ change }) => change),
    after
  })
}

/** Returns why a file must not be replaced without force. */
const conflictIn = (text: string | undefined): string | undefined => {
  if (text === undefined) return undefined
  const stamped = readStamp(text)
  if (stamped === undefined) return "was not written by this command"
  return stamped.edited ? "was edited since this command wrote it" : undefined
}
