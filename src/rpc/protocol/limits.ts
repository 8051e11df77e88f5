/**
 * The resource limits for clients of the daemon.
 *
 * docs/reliability.md has the memory of the process when all limits are reached. An idle
 * connection has no deadline, since callers keep connections open.
 */
import * as Duration from "effect/Duration"

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** A low limit would let one client that opens many connections keep the others out. */
export const connectionLimit = 12_000

/** Files that the daemon opens after its start: to write the store, and three for each command it runs. */
export const spareFiles = 128

/** All connections together: bytes not handled yet, unfinished lines, replies not read yet. */
export const maxBufferedBytes = 64 * mebibyte

/** A value of 1 MiB with each byte escaped to six, and the rest of the request. */
export const maxLineBytes = 8 * mebibyte

/** No caller sends more JSON values, and parsing millions of them would delay the others. */
export const maxValues = 1_000
/** No caller sends more strings or containers either. */
export const maxTokens = 50_000
/** Deeper JSON is not parsed, as by the predecessor. */
export const maxParsedDepth = 10_000
/** Deeper ids and parameters are rejected: more than any request has, and safe to walk through. */
export const maxMemberDepth = 1_000

/** Secrets in one import: many times as many as anybody has, and written in a moment. */
export const maxImported = 20_000

/** Requests up to this size start at once. */
export const smallRequestBytes = 4 * kibibyte
/** All larger requests at work together: decoding one takes a multiple of its size. */
export const largeRequestBudget = 16 * mebibyte

/** From the first byte of a line to its end. */
export const lineDeadline = Duration.seconds(30)
export const lineDeadlineNanos = BigInt(Duration.toMillis(lineDeadline)) * 1_000_000n

/** Within this time a client must read a chunk of its reply. */
export const writeTimeout = Duration.seconds(5)
export const replyChunkBytes = 64 * kibibyte

/** Pipelined requests handled before other connections get a turn. */
export const requestsPerTurn = 16
/** Yields of one turn: about as many as a small request needs until its reply. */
export const yieldsPerTurn = 8

/** Entries or leases in a reply, unless the client asks for a number, and at most. */
export const defaultReplyCount = 100
export const maxReplyCount = 10_000
/** Characters of these entries or leases: names can be long, and many clients can ask at once. */
export const maxReplyText = 8 * mebibyte

/** Decoding or encoding a longer text, or a longer list, blocks the others noticeably. */
export const bulkBytes = 16 * kibibyte
export const bulkListLength = 100
/** The time that the others get before each such step. */
export const yieldInterval = Duration.millis(5)
/** A shorter turn of the event loop counts as empty: such a step waits for one. */
export const emptyTurnNanos = 100_000n
/** The longest wait for it. */
export const longestYieldNanos = 50_000_000n
