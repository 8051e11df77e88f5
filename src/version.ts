/**
 * The version of this program, as its package says, and which build of it this is.
 */
import manifest from "../package.json" with { type: "json" }

/** Put in by the build: a command that says neither would read all of the package for them. */
declare const VERSION: string | undefined
declare const BUILD: string | undefined

export const version: string = typeof VERSION === "string" ? VERSION : manifest.version

/** The commit that was built, with `-dirty` behind it where the sources were changed; for comparing, not for sorting. */
export const build: string = typeof BUILD === "string" ? BUILD : "none"
