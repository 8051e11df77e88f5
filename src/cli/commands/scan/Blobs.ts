/**
 * The contents of what is in a git repository, by their ids: one after the other, in
 * pieces, from one process. No more of it is held than a pipe gives at once.
 */
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { spawn } from "node:child_process"
import { safeGitOptions, gitEnvironment } from "./git.ts"

export class Blobs {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly pieces: AsyncIterator<Buffer>
  private rest: Buffer = Buffer.alloc(0)
  private left = 0

  constructor(cwd: string) {
    this.child = spawn("git", [...safeGitOptions, "cat-file", "--batch"], { cwd, env: gitEnvironment(true) })
    this.child.on("error", () => undefined)
    this.child.stdin.on("error", () => undefined)
    this.child.stderr.resume()
    this.pieces = this.child.stdout[Symbol.asyncIterator]()
  }

  /** Begins a blob; false if git does not have it. What was not read of the last one is passed over. */
  async open(blob: string): Promise<boolean> {
    const passed = Buffer.alloc(64 * 1024)
    while (this.left > 0 && (await this.read(passed)) > 0);
    this.child.stdin.write(`${blob}\n`)
    let end = this.rest.indexOf(lineFeed)
    while (end === -1) {
      if (!(await this.more())) return false
      end = this.rest.indexOf(lineFeed)
    }
    const [, kind, size] = this.rest.toString("latin1", 0, end).split(" ")
    this.rest = this.rest.subarray(end + 1)
    // The contents are followed by a line feed.
    this.left = kind === "blob" ? Number(size) + 1 : 0
    return kind === "blob"
  }

  /** Fills in what there is; 0 at the end. */
  async read(into: Buffer): Promise<number> {
    if (this.left === 0) return 0
    if (this.rest.length === 0 && !(await this.more())) throw new Error("git ended")
    const count = Math.min(into.length, this.left - 1, this.rest.length)
    this.rest.copy(into, 0, 0, count)
    this.rest = this.rest.subarray(count)
    this.left -= count
    if (count === 0 && this.left === 1) {
      this.rest = this.rest.subarray(1)
      this.left = 0
    }
    return count
  }

  close(): void {
    this.child.stdin.end()
    this.child.kill()
  }

  private async more(): Promise<boolean> {
    const { done, value } = await this.pieces.next()
    if (done === true) return false
    this.rest = this.rest.length === 0 ? value : Buffer.concat([this.rest, value])
    return true
  }
}

const lineFeed = 0x0a
