/**
 * A secret: a named value in the store, and the errors about one. The value is `Redacted`
 * from decoding to encoding. A name is any non-empty text and is kept unchanged.
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
  /** Whether the output of that command is the new value. */
  readonly rotateStdout: boolean
  /** `zero` if never. */
  readonly lastRotated: Timestamp
  /** What it is for, in a person's words; empty if there is none. Everyone who may list the secret sees it. */
  readonly description: string
  /** Whether only the proxy may use it, so that nobody gets the value. */
  readonly proxyOnly?: boolean
}

export interface Secret extends SecretInfo {
  readonly value: Redacted.Redacted
}

export class SecretNotFound extends Schema.TaggedError<SecretNotFound>()("SecretNotFound", { name: Schema.String }) {
  override get message() {
    return `secret ${quote(this.name)}: secret not found`
  }
}

/** Adding never overwrites. */
export class SecretExists extends Schema.TaggedError<SecretExists>()("SecretExists", { name: Schema.String }) {
  override get message() {
    return `secret ${quote(this.name)}: secret already exists`
  }
}

/** A value is returned only with a lease. */
export class DirectAccess extends Schema.TaggedError<DirectAccess>()("DirectAccess", {}) {
  override get message() {
    return "direct secret access not allowed; use secrets.lease instead"
  }
}

/** The proxy alone may use the secret: nobody gets its value. */
export class ProxyOnly extends Schema.TaggedError<ProxyOnly>()("ProxyOnly", {
  name: Schema.String,
  /** A route that has it; empty if none does. */
  route: Schema.String
}) {
  override get message() {
    const name = /^[\w./-]+$/.test(this.name) ? this.name : quote(this.name)
    const use = this.route === "" ? "no route of config.json has it" : `secrets exec --proxy ${this.route} -- …`
    return `${name} is for the proxy only; ${use}`
  }
}

export class NoRotationHook extends Schema.TaggedError<NoRotationHook>()("NoRotationHook", { name: Schema.String }) {
  override get message() {
    return `secret ${quote(this.name)}: no rotation hook configured`
  }
}

/** The rotation command failed. `reason` states how it ended, never what it printed. */
export class RotationFailed extends Schema.TaggedError<RotationFailed>()("RotationFailed", {
  name: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `rotation of secret ${quote(this.name)} failed: ${this.reason}`
  }
}

/** The maximum length of a value, in bytes of UTF-8. */
export const valueLimit = 1024 * 1024

/** The maximum size of all names, values and commands together, in bytes of UTF-8. Every change writes all of it. */
export const storeLimit = 8 * 1024 * 1024

/** Returns how much a secret counts towards `storeLimit`. */
export const secretSize = (secret: Pick<Secret, "name" | "rotateVia" | "description" | "value">): number =>
  [secret.name, secret.rotateVia, secret.description, Redacted.value(secret.value)].reduce(
    (sum, text) => sum + Buffer.byteLength(text),
    0
  )

export class StoreFull extends Schema.TaggedError<StoreFull>()("StoreFull", {}) {
  override get message() {
    return `the store is full: all secrets together may have ${storeLimit} bytes`
  }
}

/** Returns the path of the file that keeps a store locked over restarts. */
export const lockFilePath = (secretsPath: string): string => `${secretsPath}.locked`

/** Nothing is given and nothing is changed until a person unlocks the store. */
export class StoreLocked extends Schema.TaggedError<StoreLocked>()("StoreLocked", {}) {
  override get message() {
    return "the store is locked: no lease and no change"
  }
}

/** The client cannot use a value that long: it has to fit into an environment, for instance. */
export class ValueTooLong extends Schema.TaggedError<ValueTooLong>()("ValueTooLong", {
  name: Schema.String,
  limit: Schema.Int
}) {
  override get message() {
    return `the value of secret ${quote(this.name)} is longer than ${this.limit} bytes`
  }
}

/** The maximum length of the name of a secret or a client, in bytes of UTF-8. */
export const nameLimit = 16 * 1024

/** The maximum length of a description, in bytes of UTF-8. */
export const descriptionLimit = 1024

export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", { what: Schema.String, limit: Schema.Int }) {
  override get message() {
    return `${this.what} is longer than ${this.limit} bytes`
  }
}
