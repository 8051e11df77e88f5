/**
 * Which project files the user trusts: the list of them, and what a path in the settings covers.
 *
 * A cloned repository brings its own `.secrets.json`, so owning a file is no consent to it. An
 * entry holds a hash of the places of the file and of everything that decides what is leased.
 * This file does no I/O.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { sha256 } from "./AuditChain.ts"

/** What the user decided about a project file. */
export const trustDecisions = ["allow", "disallow", "accept", "refuse"] as const
export type TrustDecision = (typeof trustDecisions)[number]
export const isTrustDecision = Schema.is(Schema.Literals(trustDecisions))

/** The length of a path on Linux, in bytes. */
export const pathLimit = 4096

const hashPattern = /^[0-9a-f]{64}$/
export const isProjectHash = (text: string): boolean => hashPattern.test(text)

/** Hashes texts, so that no two different lists have one hash. */
export const projectHash = (parts: ReadonlyArray<string>): string => sha256(JSON.stringify(parts))

const TrustedProject = Schema.Struct({
  /** Where the project file was found: the real path of its directory, and its name. */
  path: Schema.String,
  hash: Schema.String.check(Schema.isPattern(hashPattern)),
  allowed_at: Schema.String
})
export type TrustedProject = typeof TrustedProject.Type

const TrustList = Schema.fromJsonString(Schema.Struct({ trusted: Schema.Array(TrustedProject) }))
const decodeList = Schema.decodeUnknownResult(TrustList)

/** Decodes the list; undefined if the text is not one. */
export const readTrustList = (text: string): ReadonlyArray<TrustedProject> | undefined =>
  Result.getOrUndefined(Result.map(decodeList(text), ({ trusted }) => trusted))

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
