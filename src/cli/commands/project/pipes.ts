/**
 * Pipes between a program and us, as a shell makes them.
 *
 * What Node calls a pipe is a pair of sockets: a program cannot open it as
 * /dev/stdout, and hears of a reset connection where SIGPIPE should end it. Node
 * makes no others, so these have names, which are gone before anybody is given one.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { Readable } from "node:stream"

export interface Pipe {
  readonly reader: Readable
  /** The descriptor for the program; ours is to be closed when it has been started. */
  readonly writer: number
}

/** It makes two names. */
const patience = 5_000

/** Undefined where none can be made; what the runtime has must do then. The binary's, Bun, reads nothing from such a pipe. */
export const makePipes = (): readonly [Pipe, Pipe] | undefined => {
  if (process.versions["bun"] !== undefined) return undefined
  let directory: string | undefined
  try {
    // Nobody else comes into it, and nobody can have made one of its name before.
    directory = fs.mkdtempSync(path.join(process.env["XDG_RUNTIME_DIR"] || tmpdir(), "secrets-exec-"))
    const [out, err] = [path.join(directory, "out"), path.join(directory, "err")]
    execFileSync("mkfifo", ["-m", "600", out, err], { stdio: "ignore", timeout: patience })
    return [openPipe(out), openPipe(err)]
  } catch {
    return undefined
  } finally {
    if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true })
  }
}

/** The reader first, and without waiting: whoever opens only one end waits for the other. */
const openPipe = (name: string): Pipe => {
  const reader = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOFOLLOW)
  const writer = fs.openSync(name, fs.constants.O_WRONLY | fs.constants.O_NOFOLLOW)
  return { reader: new net.Socket({ fd: reader, readable: true, writable: false }), writer }
}
