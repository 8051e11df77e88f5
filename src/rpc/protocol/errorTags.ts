/**
 * The errors of the protocol: their tags, and the JSON-RPC code of each.
 *
 * A tag is the stable name of an error. It is `error.data.tag` on the wire, the label of
 * the metrics, and `error.code` of `--json`. The codes are those of the
 * predecessor, which sends no tags. This file imports nothing: the fast path loads it.
 */

/** The code of every failure without a code of its own, such as invalid parameters. */
const internal = -32603

export const errorCodes = {
  ParseError: -32700,
  MethodNotFound: -32601,
  InvalidParams: internal,
  MissingSecretName: internal,
  MissingClientId: internal,
  MissingParameter: internal,
  TooLong: internal,
  InvalidTtl: internal,
  TtlTooLong: internal,
  SecretNotFound: -32000,
  SecretExists: internal,
  StoreFull: internal,
  SecretStoreError: internal,
  StoreReplaced: internal,
  StoreLocked: internal,
  LockNotKept: internal,
  StoreUnreadable: internal,
  LeaseNotFound: -32001,
  AmbiguousLease: internal,
  TooManyLeases: internal,
  RunNotFound: internal,
  TooManyRuns: internal,
  RouteNotFound: internal,
  ProxyUnavailable: internal,
  ValueTooLong: internal,
  LeasesRemain: internal,
  PartlyRevoked: internal,
  NoRotationHook: internal,
  RotationFailed: -32003,
  DirectAccess: -32006,
  AccessDenied: -32006,
  PolicyDenied: -32006,
  ProxyOnly: -32006,
  ApprovalPending: -32010,
  ApprovalDenied: -32011,
  ApprovalExpired: -32012,
  RequestNotFound: internal,
  TooManyRequests: internal,
  ScanLimit: internal,
  RestartRefused: internal,
  RestartNotAllowed: internal,
  AuditLogError: internal,
  TeamAway: internal,
  FileError: internal,
  Stopping: internal,
  TooManyConnections: internal,
  MemoryExceeded: internal,
  InternalError: internal
} as const satisfies Readonly<Record<string, number>>

export type ErrorTag = keyof typeof errorCodes

export const isErrorTag = (text: string): text is ErrorTag => Object.hasOwn(errorCodes, text)

/** Returns the tag that a code stands for by itself, for a daemon that sends no tag. */
export const tagOfCode = (code: number): ErrorTag | undefined =>
  code === internal
    ? undefined
    : Object.keys(errorCodes)
        .filter(isErrorTag)
        .find((tag) => errorCodes[tag] === code)
