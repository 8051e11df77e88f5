/** What a change makes of the secrets that it found, because other machines may change them at the same time. */
import { type StoredSecret, textOf } from "../secrets/storeDocument.ts"

/** What a change found of one secret, and what it makes of it. Undefined: there is no such secret. */
export interface Edit {
  readonly name: string
  readonly before: StoredSecret | undefined
  readonly after: StoredSecret | undefined
}

type Secrets = ReadonlyMap<string, StoredSecret>

export const editsOf = (before: Secrets, after: Secrets): ReadonlyArray<Edit> =>
  [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => ({ name, before: before.get(name), after: after.get(name) }))
    .filter((edit) => edit.before !== edit.after)

/** Returns an edit that only seals a secret again. */
export const sealedAgain = (secret: StoredSecret): Edit => ({ name: secret.name, before: secret, after: secret })

/** Compares secrets, and not how they were sealed. */
export const isSameSecret = (one: StoredSecret | undefined, other: StoredSecret | undefined): boolean =>
  one === other ||
  (one !== undefined && other !== undefined && textOf({ ...one, foreign: {} }) === textOf({ ...other, foreign: {} }))
