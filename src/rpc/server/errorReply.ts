/**
 * The number and the words of every failure, as clients see them.
 *
 * A refusal has its code in the protocol specification; what is broken outside and
 * everything else goes under -32603. A defect is answered without its text.
 */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type { AuditLogError } from "../../daemon/audit/AuditLog.ts"
import type { SecretStoreError } from "../../daemon/secrets/SecretStore.ts"
import type { LeaseNotFound, TooManyLeases } from "../../domain/Lease.ts"
import type { LeasesRemain } from "../../daemon/operations/deleteSecret.ts"
import type { FileError } from "../../daemon/files/durableFile.ts"
import type { PartlyRevoked } from "../../daemon/operations/revokeMatching.ts"
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
import type { TtlTooLong } from "../../domain/Ttl.ts"
import type { RpcError } from "../protocol/Protocol.ts"
import { errorCode } from "../protocol/Protocol.ts"
import type { ReplyError } from "../protocol/reply.ts"

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

const numbers: { readonly [Tag in Exclude<MethodError["_tag"], "RpcError">]: number } = {
  SecretNotFound: errorCode.secretNotFound,
  LeaseNotFound: errorCode.leaseNotFound,
  SecretExists: errorCode.internal,
  TtlTooLong: errorCode.internal,
  TooManyLeases: errorCode.internal,
  DirectAccess: errorCode.accessDenied,
  AuditLogError: errorCode.internal,
  SecretStoreError: errorCode.internal,
  NoRotationHook: errorCode.internal,
  RotationFailed: errorCode.rotationFailed,
  TooLong: errorCode.internal,
  StoreFull: errorCode.internal,
  RestartRefused: errorCode.internal,
  FileError: errorCode.internal,
  LeasesRemain: errorCode.internal,
  PartlyRevoked: errorCode.internal
}

export const errorReply = (cause: Cause.Cause<MethodError>): ReplyError => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (failure === undefined || Cause.hasDies(cause)) return { code: errorCode.internal, message: "internal error" }
  return failure._tag === "RpcError" ? failure : { code: numbers[failure._tag], message: failure.message }
}
