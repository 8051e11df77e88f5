/**
 * A secret: a named value in the store, and the refusals that concern one.
 *
 * The value is `Redacted` from the moment it is read to the moment it is
 * written out. Names are any non-empty text and are kept exactly as given.
 */
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { quote } from "./goText.ts"
import type { Timestamp } from "./Timestamp.ts"

export interface SecretInfo {
  readonly name: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  /** The command that rotates the secret; empty if there is none. */
  readonly rotateVia: string
  /** `zero` if never. */
  readonly lastRotated: Timestamp
}

export interface Secret extends SecretInfo {
  readonly value: Redacted.Redacted
}

/** The store has no secret of this name. */
export class SecretNotFound extends Schema.TaggedError<SecretNotFound>()("SecretNotFound", {
  name: Schema.String
}) {
  override get message() {
    return `secret ${quote(this.name)}: secret not found`
  }
}

/** The store has a secret of this name already; adding never overwrites. */
export class SecretExists extends Schema.TaggedError<SecretExists>()("SecretExists", {
  name: Schema.String
}) {
  override get message() {
    return `secret ${quote(this.name)}: secret already exists`
  }
}
