/**
 * What a store can do while it is in memory; `lockableStore` adds the lock.
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import type { Secret, SecretExists, SecretInfo, SecretNotFound, StoreFull } from "../../domain/Secret.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import type { FileError } from "../files/durableFile.ts"
import type { AgeError } from "./ageFile.ts"
import type { StoreReplaced } from "./KnownFile.ts"
import type { MergeOptions, MergeReport } from "./mergeStore.ts"
import type { StoreDocument } from "./storeDocument.ts"

/** Writing the store failed; nothing was changed. */
export class SecretStoreError extends Data.TaggedError("SecretStoreError")<{
  readonly cause: FileError | AgeError
}> {
  override get message() {
    return `failed to write secrets file: ${this.cause.message}`
  }
}

export interface NewSecret {
  readonly name: string
  readonly value: Redacted.Redacted
  readonly rotateVia: string
  readonly rotateStdout: boolean
  readonly description?: string
  readonly proxyOnly?: boolean
}

/** The members of a secret to change; the others stay. Without a value, its age stays too. */
export interface SecretChange {
  readonly value?: Redacted.Redacted
  readonly rotateVia?: string
  readonly rotateStdout?: boolean
  readonly description?: string
  /** Nothing takes it back: that would need the value again. */
  readonly proxyOnly?: true
}

export type ChangeError = SecretStoreError | StoreReplaced | AuditLogError

/** The store while it is in memory; `lockableStore` adds the lock. */
export interface OpenedStore {
  readonly get: (name: string) => Result.Result<Secret, SecretNotFound>
  /** Lists all secrets, in byte order of their names. */
  readonly list: Effect.Effect<ReadonlyArray<SecretInfo>>
  readonly names: Effect.Effect<ReadonlyArray<string>>
  readonly count: Effect.Effect<number>
  readonly add: (secret: NewSecret) => Effect.Effect<void, SecretExists | StoreFull | ChangeError>
  /** Adds all of them with one write, and updates those that exist or leaves them; returns their names. */
  readonly addMany: (
    secrets: ReadonlyArray<NewSecret>,
    mayUpdate: boolean
  ) => Effect.Effect<ReadonlyArray<string>, StoreFull | ChangeError>
  readonly update: (name: string, change: SecretChange) => Effect.Effect<void, SecretNotFound | StoreFull | ChangeError>
  /** Records a rotation, with the new value if there is one; returns its time. */
  readonly recordRotation: (
    name: string,
    outcome: string,
    value: Redacted.Redacted | undefined
  ) => Effect.Effect<Timestamp, SecretNotFound | StoreFull | ChangeError>
  readonly remove: (name: string) => Effect.Effect<void, SecretNotFound | ChangeError>
  /** The text of the store, with all values. */
  readonly text: Effect.Effect<string>
  /** Takes the secrets of a backup; changes nothing if some were changed after it, unless the options permit that. */
  readonly merge: (backup: StoreDocument, options: MergeOptions) => Effect.Effect<MergeReport, StoreFull | ChangeError>
  /** Removes every secret, the backup and the key, and makes a new key; returns the number of secrets. */
  readonly wipe: Effect.Effect<number, ChangeError>
  /** Compares the files with memory, writes again what is missing, and reports what another program has replaced. */
  readonly checkFiles: Effect.Effect<void>
  /** Why the next change would be rejected, as the last check of the files found; undefined if it would not. */
  readonly failure: Effect.Effect<string | undefined>
  /** Whether this start found a store or created one. */
  readonly origin: "loaded" | "initialized"
  /** Derives 32 bytes from the key of the store: the same ones for the same purpose. */
  readonly derive: (purpose: string) => Buffer
  /** The SHA-256 of secrets.age; undefined for a store in memory only. */
  readonly hash: Effect.Effect<string | undefined>
}
