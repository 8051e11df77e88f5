/**
 * The built program as an attack has it: started on a directory of its own, asked
 * over the socket, killed, and looked at from outside.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Connection, type Ended, type RunOptions, start } from "./program.ts"

export interface Target {
  readonly home: string
  readonly directory: string
  readonly socket: string
  readonly pid: number
  readonly stderr: () => string
  readonly serves: Promise<void>
  /** Sends a signal and waits for the end. */
  readonly end: (signal: NodeJS.Signals) => Promise<Ended>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Ended>
}

export const temporaryHome = (): string => fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-torture-"))

/** Starts without waiting for anything. */
export const launch = (options: RunOptions, args: ReadonlyArray<string> = []): Target => {
  const { child, ended, stderr } = start(["serve", ...args], options)
  const says = (words: string) =>
    new Promise<void>((resolve) => {
      const look = () => stderr().includes(words) && resolve()
      child.stderr?.on("data", look)
      look()
    })
  const directory = path.join(options.home, ".agent-secrets")
  return {
    home: options.home,
    directory,
    socket: path.join(directory, "agent-secrets.sock"),
    pid: child.pid ?? 0,
    stderr,
    serves: says(" serves "),
    signal: (signal) => void child.kill(signal),
    end: (signal) => {
      child.kill(signal)
      return ended
    },
    ended
  }
}

/** Waits until it serves; throws with what it said if it ends before. */
export const untilReady = async (target: Target): Promise<Target> => {
  const how = await Promise.race([target.serves, target.ended])
  if (how !== undefined) throw new Error(`the daemon did not start: ${how.stderr}`)
  return target
}

export const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** What came of a request; undefined where the connection broke before an answer came. */
export type Answer =
  | { readonly result?: any; readonly error?: { readonly code: number; readonly message: string } }
  | undefined

/** One connection that asks one thing after the other. */
export class Client {
  private readonly connection: Connection

  constructor(socket: string) {
    this.connection = new Connection(socket)
  }

  async ask(method: string, params: object): Promise<Answer> {
    const line = await this.connection.ask(
      JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id: 1 })
    )
    return line === undefined ? undefined : JSON.parse(line)
  }

  close(): void {
    this.connection.socket.destroy()
  }
}

/** Runs a command to its end. */
export const runCommand = (args: ReadonlyArray<string>, home: string): Promise<Ended> => start(args, { home }).ended
