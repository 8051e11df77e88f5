/**
 * The version of this program from package.json, and the commit it was built from.
 */
import manifest from "../package.json" with { type: "json" }

/** Inlined by the build, so that a start does not read package.json. */
declare const VERSION: string | undefined
declare const BUILD: string | undefined

export const version: string = typeof VERSION === "string" ? VERSION : manifest.version

/** The commit, with the suffix `-dirty` if the sources were changed. Builds can be compared by it, not sorted. */
export const build: string = typeof BUILD === "string" ? BUILD : "none"
