/**
 * The Vercel project that a directory is linked to: `.vercel/project.json`, or else the nearest
 * `.vercel/repo.json` above. Vercel's program pulls that one, and not the one of the project file.
 */
import * as path from "node:path"
import { parseJsonFile } from "../../../domain/jsonFile.ts"
import { readRegularFile } from "./foreignFile.ts"

export interface VercelLink {
  /** What Vercel's program gets, so that it does not read the file again. */
  readonly organisation: string | undefined
  readonly project: string | undefined
  readonly projectName: string | undefined
  /** Differs for every other link. */
  readonly identity: string | Uint8Array
}

/** In MiB; the files have some hundred bytes. */
const sizeLimit = 1

/** Returns undefined for a directory without a link, or whose link cannot be read. */
export const readVercelLink = (directory: string): VercelLink | undefined => {
  const bytes = readLink(path.join(directory, ".vercel", "project.json"))
  if (bytes === undefined) return linkOfRepository(directory)
  const members = membersOf(bytes)
  const text = (key: string) => {
    const value = members.get(key)
    return typeof value === "string" ? value : undefined
  }
  const [organisation, project, projectName] = [text("orgId"), text("projectId"), text("projectName")]
  // Vercel's program writes settings of the build into the file, too.
  const identity =
    organisation === undefined || project === undefined ? bytes : JSON.stringify([organisation, project, projectName])
  return { organisation, project, projectName, identity }
}

const linkOfRepository = (directory: string): VercelLink | undefined => {
  for (let at = directory; ; at = path.dirname(at)) {
    const bytes = readLink(path.join(at, ".vercel", "repo.json"))
    if (bytes !== undefined)
      return {
        organisation: undefined,
        project: undefined,
        projectName: undefined,
        identity: bytes
      }
    if (at === path.dirname(at)) return undefined
  }
}

const readLink = (file: string): Buffer | undefined => {
  try {
    return readRegularFile(file, sizeLimit).bytes
  } catch {
    return undefined
  }
}

const membersOf = (bytes: Buffer): ReadonlyMap<string, unknown> => {
  const link = parseJsonFile(bytes)
  return "value" in link && typeof link.value === "object" && link.value !== null
    ? new Map(Object.entries(link.value))
    : new Map()
}
