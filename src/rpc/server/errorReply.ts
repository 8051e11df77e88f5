/**
 * The tag and the message of every failure of a method, as clients get them.
 *
 * A defect is answered without its text, which may hold a value.
 */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type { AuditLogError } from "../../daemon/audit/AuditLog.ts"
import type { SecretStoreError } from "../../daemon/secrets/SecretStore.ts"
import type { LeaseNotFound, TooManyLeases, TtlTooLong } from "../../domain/Lease.ts"
import type { LeasesRemain } from "../../daemon/operations/deleteSecret.ts"
import type { FileError } from "../../daemon/files/durableFile.ts"
import type { PartlyRevoked } from "../../daemon/operations/revoke.ts"
import type { RestartRefused } from "../../daemon/lifecycle/Restart.ts"
import type {
  DirectAccess,
  NoRotationHook,
  RotationFailed,
  SecretExists,
  SecretNotFound,
  StoreFull,
  TooLong
} from "../../domain/Secret.ts"
import type { ErrorTag } from "../protocol/errorTags.ts"
import type { RpcError, TaggedMessage } from "../protocol/Protocol.ts"

export type MethodError =
  | RpcError
  | SecretNotFound
  | SecretExists
  | LeaseNotFound
  | TtlTooLong
  | TooManyLeases
  | DirectAccess
  | AuditLogError
  | SecretStoreError
  | NoRotationHook
  | RotationFailed
  | TooLong
  | StoreFull
  | RestartRefused
  | FileError
  | LeasesRemain
  | PartlyRevoked

/** Returns the tag of a failure; a method whose error has no code in `errorCodes` does not compile. */
const tagOf = (failure: MethodError): ErrorTag => (failure._tag === "RpcError" ? failure.tag : failure._tag)

export const errorReply = (cause: Cause.Cause<MethodError>): TaggedMessage => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
  return failure === undefined || Cause.hasDies(cause)
    ? { tag: "InternalError", message: "internal error" }
    : { tag: tagOf(failure), message: failure.message }
}
