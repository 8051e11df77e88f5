/**
 * Which project files the user trusts: the list of them, and what a path in the settings covers.
 *
 * A cloned repository brings its own `.secrets.json`, so owning a file is no consent to it. An
 * entry holds a hash of the places of the file and of everything that decides what is leased.
 * This file does no I/O.
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { hash } from "node:crypto"

export const projectFileName = ".secrets.json"

/** What the user decided about a project file. */
export const trustDecisions = ["allow", "disallow", "accept", "refuse"] as const
export type TrustDecision = (typeof trustDecisions)[number]
export const isTrustDecision = (text: string): text is TrustDecision => trustDecisions.some((one) => one === text)

/** The length of a path on Linux, in bytes. */
export const pathLimit = 4096

const hashPattern = /^[0-9a-f]{64}$/
export const isProjectHash = (text: string): boolean => hashPattern.test(text)

/** Hashes texts and contents of files, so that no two different lists have one hash. */
export const projectHash = (parts: ReadonlyArray<string | Uint8Array>): string =>
  digest(JSON.stringify(parts.map((part) => (typeof part === "string" ? part : [digest(part)]))))

/** Hashes as `AuditChain` does, whose schemas would delay each `exec`. */
const digest = (data: string | Uint8Array): string => hash("sha256", data, "hex")

export interface TrustedProject {
  /** Where the project file was found: the real path of its directory, and its name. */
  readonly path: string
  readonly hash: string
  readonly allowed_at: string
}

/** Decodes the list; undefined if the text is not one. By hand: building a schema would delay each `exec`. */
export const readTrustList = (text: string): ReadonlyArray<TrustedProject> | undefined => {
  const parsed = Result.try((): unknown => JSON.parse(text))
  if (Result.isFailure(parsed) || !Predicate.isReadonlyObject(parsed.success)) return undefined
  const { trusted } = parsed.success
  return Array.isArray(trusted) && trusted.every(isTrustedProject) ? trusted : undefined
}

const isTrustedProject = (value: unknown): value is TrustedProject =>
  Predicate.isReadonlyObject(value) &&
  typeof value["path"] === "string" &&
  typeof value["hash"] === "string" &&
  isProjectHash(value["hash"]) &&
  typeof value["allowed_at"] === "string"

/** Encodes the list, sorted, one entry per path. */
export const renderTrustList = (list: ReadonlyArray<TrustedProject>): string =>
  `${JSON.stringify({ trusted: list.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }, undefined, 2)}\n`

/** Returns the list with this entry in place of an older one of the same path. */
export const withEntry = (
  list: ReadonlyArray<TrustedProject>,
  entry: TrustedProject
): ReadonlyArray<TrustedProject> => [...withoutPath(list, entry.path), entry]

export const withoutPath = (list: ReadonlyArray<TrustedProject>, path: string): ReadonlyArray<TrustedProject> =>
  list.filter((one) => one.path !== path)

/** Returns whether a path is the root or below it, by whole components. Both are real paths. */
export const isWithin = (path: string, root: string): boolean =>
  path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`)

/**
 * Returns the client id of a project: the user's own, and what the file names as a part of it. That part is encoded, so
 * that it holds no separator: a project's id is never the user's, and never that of another client.
 */
export const projectClientId = (own: string, given: string | undefined): string =>
  given === undefined ? own : `${own}/${encodeURIComponent(given.toWellFormed())}`
