/**
 * What an installation or a removal would do, worked out before anything is done: a
 * pure function of what is on the disk and what is to be there.
 *
 * A file that a person edited, or that is not ours, is in the way: it stays as it is,
 * or, by force, under another name.
 */
import * as Result from "effect/Result"
import * as Data from "effect/Data"
import { readStamp } from "./stamp.ts"
import type { ServiceFile } from "./ServiceOptions.ts"
import type { SupervisorStep, SupervisorShape } from "./Supervisor.ts"

/** A file as it is; `text` is undefined where there is none. */
export interface InstalledFile {
  readonly path: string
  readonly text: string | undefined
}

export type FileChangeStep =
  /** `backup`: the name under which what was there before stays. */
  | { readonly kind: "write"; readonly path: string; readonly text: string; readonly backup: string | undefined }
  | { readonly kind: "remove"; readonly path: string; readonly backup: string | undefined }

export interface ServicePlan {
  /** Ends what runs now; empty if nothing is known to. */
  readonly before: ReadonlyArray<SupervisorStep>
  readonly changes: ReadonlyArray<FileChangeStep>
  readonly after: ReadonlyArray<SupervisorStep>
}

/** A file that is not as we wrote it is where ours belongs. */
export class FileConflict extends Data.TaggedError("FileInTheWay")<{ readonly path: string; readonly why: string }> {
  override get message() {
    return `${this.path} ${this.why}`
  }
}

export interface PlanInput {
  readonly supervisor: Pick<SupervisorShape, "steps" | "reread">
  readonly found: ReadonlyArray<InstalledFile>
  /** Whether the supervisor knows the service at this moment. */
  readonly loaded: boolean
  readonly force: boolean
}

/** Undefined if everything is as it is to be: `wanted` are the files, stamped. */
export const planInstall = (
  situation: PlanInput,
  wanted: ReadonlyArray<ServiceFile>
): Result.Result<ServicePlan | undefined, FileConflict> =>
  Result.gen(function* () {
    const { found, loaded, supervisor } = situation
    const present = found.filter(({ text }) => text !== undefined)
    const asWanted = wanted.every(({ path, text }) => found.some((file) => file.path === path && file.text === text))
    if (asWanted && present.length === wanted.length && loaded) return undefined
    const written = wanted
      .filter(({ path, text }) => !found.some((file) => file.path === path && file.text === text))
      .map(({ path, text }): FileChangeStep => ({ kind: "write", path, text, backup: undefined }))
    const removed = present
      .filter(({ path }) => !wanted.some((file) => file.path === path))
      .map(({ path }): FileChangeStep => ({ kind: "remove", path, backup: undefined }))
    return {
      before: endingSteps(situation),
      changes: yield* withBackups([...written, ...removed], situation),
      after: supervisor.steps("load", wanted.length > 1)
    }
  })

/** Undefined if there is nothing to take away. */
export const planUninstall = (situation: PlanInput): Result.Result<ServicePlan | undefined, FileConflict> =>
  Result.gen(function* () {
    const { found, loaded, supervisor } = situation
    const present = found.filter(({ text }) => text !== undefined)
    if (present.length === 0 && !loaded) return undefined
    const removed = present.map(({ path }): FileChangeStep => ({ kind: "remove", path, backup: undefined }))
    return {
      before: endingSteps(situation),
      changes: yield* withBackups(removed, situation),
      after: supervisor.reread
    }
  })

/** Whether the service that is installed has its socket kept by the supervisor. */
export const hasSocket = (found: ReadonlyArray<InstalledFile>): boolean =>
  found.slice(1).some(({ text }) => text !== undefined)

const endingSteps = ({ found, loaded, supervisor }: PlanInput): ReadonlyArray<SupervisorStep> =>
  loaded || found.some(({ text }) => text !== undefined) ? supervisor.steps("unload", hasSocket(found)) : []

const withBackups = (
  changes: ReadonlyArray<FileChangeStep>,
  { force, found }: PlanInput
): Result.Result<ReadonlyArray<FileChangeStep>, FileConflict> => {
  const judged = changes.map((change) => {
    const text = found.find(({ path }) => path === change.path)?.text
    const why = text === undefined ? undefined : foreign(text)
    return { change: why === undefined ? change : { ...change, backup: `${change.path}.bak` }, why }
  })
  const inTheWay = judged.find(({ why }) => why !== undefined)
  if (inTheWay === undefined || force) return Result.succeed(judged.map(({ change }) => change))
  return Result.fail(new FileConflict({ path: inTheWay.change.path, why: inTheWay.why ?? "" }))
}

/** Why a text is not to be replaced without being asked. */
const foreign = (text: string): string | undefined => {
  const stamped = readStamp(text)
  if (stamped === undefined) return "was not written by this command"
  return stamped.edited ? "was edited since this command wrote it" : undefined
}
