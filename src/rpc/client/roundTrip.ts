/**
 * One connection to the daemon: connects, sends lines, reads as many, closes.
 *
 * It neither retries nor interprets anything and has no deadline; `sendRequests` does
 * that. It uses Node alone: the fast path loads it.
 */
import { connect } from "node:net"
import { isOwnPath } from "../../process/isOwnPath.ts"
import type { UnsafePath } from "../../process/pathOwners.ts"

export type RoundTrip =
  | { readonly _tag: "Replies"; readonly lines: ReadonlyArray<string> }
  /** There was no connection: `code` is the system's reason, such as ENOENT or EACCES. */
  | { readonly _tag: "Unreachable"; readonly code: string }
  /** Another user could own the socket; nothing was sent. */
  | { readonly _tag: "UnsafeSocket"; readonly unsafe: UnsafePath }
  /** The connection ended before the last reply; the daemon may have handled the requests. */
  | { readonly _tag: "ConnectionLost" }
  /** The reply is longer than any that the daemon sends. */
  | { readonly _tag: "ReplyTooLarge" }

/** Twice what the daemon buffers for all clients together: an endless reply must not fill the memory. */
const maxReplyBytes = 128 * 1024 * 1024

/** As many bytes as Node reads at once. */
const readLength = 64 * 1024

/**
 * Sends the lines and calls `settle` once with the outcome. Returns a function that aborts it. `check`: whether the lines
 * or the replies have values, which only the daemon that is meant may get or give.
 */
export const roundTrip = (
  socketPath: string,
  lines: ReadonlyArray<string>,
  settle: (outcome: RoundTrip) => void,
  check = false
): (() => void) => {
  const chunks: Array<Buffer> = []
  let [connected, settled, missing, bytes] = [false, false, lines.length, 0]
  const receive = (length: number, memory: Uint8Array): boolean => {
    // Node reuses the memory for the next chunk.
    const chunk = Buffer.from(memory.subarray(0, length))
    chunks.push(chunk)
    bytes += length
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, at + 1)) missing -= 1
    if (missing <= 0) end({ _tag: "Replies", lines: Buffer.concat(chunks).toString("utf8").split("\n") })
    else if (bytes > maxReplyBytes) end({ _tag: "ReplyTooLarge" })
    return true
  }
  // Without a stream's queue and events, which take longer to set up than the daemon to reply.
  const onread = { buffer: Buffer.allocUnsafeSlow(readLength), callback: receive }
  const socket = connect({ path: socketPath, onread }, () => {
    // After the connection: a path that is safe now was so before.
    if (!check || isOwnPath(socketPath)) return send()
    void import("../../process/pathOwners.ts").then(({ unsafeSocket }) => {
      const unsafe = unsafeSocket(socketPath)
      if (unsafe === "missing") return end({ _tag: "Unreachable", code: "ENOENT" })
      return unsafe === undefined ? send() : end({ _tag: "UnsafeSocket", unsafe })
    })
  })
  const send = () => {
    if (settled) return
    connected = true
    socket.write(lines.map((line) => `${line}\n`).join(""))
  }
  const end = (outcome: RoundTrip) => {
    // `settle` may end the process, so closing the connection comes second.
    if (!settled) {
      settled = true
      settle(outcome)
    }
    socket.destroy()
  }
  socket.once("end", () => end({ _tag: "ConnectionLost" }))
  socket.once("error", (error: NodeJS.ErrnoException) =>
    end(connected ? { _tag: "ConnectionLost" } : { _tag: "Unreachable", code: error.code ?? "unknown" })
  )
  return () => {
    settled = true
    socket.destroy()
  }
}

const lineFeed = 0x0a
