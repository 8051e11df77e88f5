/**
 * One connection to the daemon: connect, send some lines, read as many, close.
 *
 * Nothing is tried twice and nothing is judged. It needs nothing but Node, for a
 * command that only asks has no time to load more.
 */
import { connect } from "node:net"
import type { MethodName } from "../protocol/methods.ts"

export type RoundTrip =
  | { readonly _tag: "Replies"; readonly lines: ReadonlyArray<string> }
  /** There was no connection: `code` is the system's reason, such as ENOENT or EACCES. */
  | { readonly _tag: "Unreachable"; readonly code: string }
  /** The connection ended before the last reply; the requests may have been done. */
  | { readonly _tag: "Cut" }
  /** The replies were not there in time, whether something came of them or not. */
  | { readonly _tag: "Silent" }
  /** More came than any reply has. */
  | { readonly _tag: "TooMuch" }

/** Milliseconds for everything together; undefined to wait for ever. */
type Patience = number | undefined

/** Twice what the daemon holds for all its clients together; a reply that never ends must not fill the memory. */
const maxBytes = 128 * 1024 * 1024

/** As many bytes as Node reads at once. */
const readLength = 64 * 1024

/** Sends the lines and settles once, with what came of it. Gives a way to break off. */
export const roundTrip = (
  socketPath: string,
  lines: ReadonlyArray<string>,
  patience: Patience,
  settle: (outcome: RoundTrip) => void
): (() => void) => {
  const pieces: Array<Buffer> = []
  let [connected, settled, missing, bytes] = [false, false, lines.length, 0]
  const take = (length: number, memory: Uint8Array): boolean => {
    // The memory is used for the next piece again.
    const piece = Buffer.from(memory.subarray(0, length))
    pieces.push(piece)
    bytes += length
    for (let at = piece.indexOf(lineFeed); at >= 0; at = piece.indexOf(lineFeed, at + 1)) missing -= 1
    if (missing <= 0) end({ _tag: "Replies", lines: Buffer.concat(pieces).toString("utf8").split("\n") })
    else if (bytes > maxBytes) end({ _tag: "TooMuch" })
    return true
  }
  // Read without a stream's queue and events, which take longer to be made than the daemon to answer.
  const onread = { buffer: Buffer.allocUnsafeSlow(readLength), callback: take }
  const socket = connect({ path: socketPath, onread }, () => {
    connected = true
    socket.write(lines.map((line) => `${line}\n`).join(""))
  })
  const end = (outcome: RoundTrip) => {
    // Whoever has the answer may end the process; to close the connection first would be for nothing.
    if (!settled) {
      settled = true
      settle(outcome)
    }
    socket.destroy()
  }
  socket.once("end", () => end({ _tag: "Cut" }))
  socket.once("error", (error: NodeJS.ErrnoException) =>
    end(connected ? { _tag: "Cut" } : { _tag: "Unreachable", code: error.code ?? "unknown" })
  )
  // Not the timeout of the socket, which begins anew with each byte; and AbortSignal takes five times as long to be made.
  // oxlint-disable-next-line no-restricted-globals -- nothing here has a clock to be tested with
  if (patience !== undefined) setTimeout(() => end({ _tag: "Silent" }), patience).unref()
  return () => {
    settled = true
    socket.destroy()
  }
}

const lineFeed = 0x0a

/** What to say of `TooMuch`. */
export const responseTooLarge = "it has no end"

/** A request as it goes over the socket. */
export const requestLine = (method: MethodName, params: object, id = 1): string =>
  JSON.stringify({ jsonrpc: "2.0", method, params, id })
