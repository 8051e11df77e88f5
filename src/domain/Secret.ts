/**
 * A secret: a named value in the store, and the refusals that concern one.
 *
 * The value is `Redacted` from the moment it is read to the moment it is
 * written out. Names are any non-empty text and are kept exactly as given.
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { quote } from "./goText.ts"
import type { Timestamp } from "./Timestamp.ts"

export interface SecretInfo {
  readonly name: string
  readonly createdAt: Timestamp
  readonly updatedAt: Timestamp
  /** The command that rotates the secret; empty if there is none. */
  readonly rotateVia: string
  /** Whether what that command prints is the new value; else it only changes something outside. */
  readonly rotateStdout: boolean
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

/** A value is given only with a lease. */
export class DirectAccess extends Schema.TaggedError<DirectAccess>()("DirectAccess", {}) {
  override get message() {
    return "direct secret access not allowed; use secrets.lease instead"
  }
}

/** The secret has no command that rotates it. */
export class NoRotationHook extends Schema.TaggedError<NoRotationHook>()("NoRotationHook", {
  name: Schema.String
}) {
  override get message() {
    return `secret ${quote(this.name)}: no rotation hook configured`
  }
}

/** The command that rotates the secret did not do it. `reason` says how it ended, never what it printed. */
export class RotationFailed extends Schema.TaggedError<RotationFailed>()("RotationFailed", {
  name: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `rotation of secret ${quote(this.name)} failed: ${this.reason}`
  }
}

/** The longest value that is taken, in bytes of UTF-8. */
export const valueLimit = 1024 * 1024

/** What all secrets may have together: their names, values and commands, in bytes of UTF-8. Every change writes all of it. */
export const storeLimit = 8 * 1024 * 1024

/** What a secret counts for. */
export const secretSize = ({ name, rotateVia, value }: Pick<Secret, "name" | "rotateVia" | "value">): number =>
  Buffer.byteLength(name) + Buffer.byteLength(rotateVia) + Buffer.byteLength(Redacted.value(value))

/** The secrets together would be longer than what is kept. */
export class StoreFull extends Schema.TaggedError<StoreFull>()("StoreFull", {}) {
  override get message() {
    return `the store is full: all secrets together may have ${storeLimit} bytes`
  }
}

/** The longest name of a secret or a client that is taken, in bytes of UTF-8. */
export const nameLimit = 16 * 1024

/** A name or a value is longer than what is taken. */
export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", {
  what: Schema.String,
  limit: Schema.Int
}) {
  override get message() {
    return `${this.what} is longer than ${this.limit} bytes`
  }
}
