/**
 * The tokens of a run: what its program has in place of values. The daemon gets their hashes alone, and the
 * same ones after its restart, so that a program goes on with the tokens that it has.
 */
import { createHash, randomBytes } from "node:crypto"

/** 256 bits. */
const tokenBytes = 32

export const makeToken = (): string => `asp_${randomBytes(tokenBytes).toString("base64url")}`

/** Returns what the daemon knows of a token. */
export const tokenHash = (token: string): string => createHash("sha256").update(token).digest("hex")
