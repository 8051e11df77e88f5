/**
 * Programs of others that tests call where they are installed. A test without its program prints the
 * name of what it leaves out, and there are as many tests everywhere.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { programPath } from "../../src/process/programPath.ts"
import type { Ended } from "./program.ts"

/** Where the program is; undefined if it is not installed. */
export const installed = (name: string): string | undefined => {
  const found = programPath(name, `${process.env["PATH"] ?? ""}:/usr/bin:/bin:/usr/sbin:/usr/lib/git-core`)
  return found.includes("/") ? fs.realpathSync(found) : undefined
}

/** A test that needs programs; it gets their paths. */
export const itWith = <E>(
  programs: ReadonlyArray<string>,
  name: string,
  run: (...paths: ReadonlyArray<string>) => Effect.Effect<void, E>
): void =>
  it.live(name, () =>
    Effect.suspend(() => {
      const paths = programs.map(installed)
      const missing = programs.filter((_, at) => paths[at] === undefined)
      if (missing.length === 0) return run(...paths.map((path) => path ?? ""))
      return Effect.sync(() =>
        process.stderr.write(`left out, because ${missing.join(", ")} is not installed: ${name}\n`)
      )
    })
  )

/** Runs a program to its end. */
export const runProgram = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly env: Readonly<Record<string, string>>; readonly cwd: string; readonly stdin?: string }
): Effect.Effect<Ended> =>
  Effect.promise(
    () =>
      new Promise((resolve) => {
        const { cwd, env, stdin } = options
        const child = spawn(command, args, { env, cwd, stdio: ["pipe", "pipe", "pipe"], detached: true })
        const out = { stdout: "", stderr: "" }
        child.stdout.on("data", (piece) => (out.stdout += piece))
        child.stderr.on("data", (piece) => (out.stderr += piece))
        child.stdin.on("error", () => undefined)
        child.stdin.end(stdin ?? "")
        child.once("error", (error) => resolve({ status: null, signal: null, stdout: "", stderr: error.message }))
        child.once("close", (status, signal) => resolve({ status, signal, ...out }))
      })
  )

export interface Stub {
  readonly port: number
  /** The header Authorization of each request, by its path; empty where there was none. */
  readonly seen: ReadonlyArray<readonly [path: string, authorization: string]>
}

/** A server on loopback. */
export const stubServer = (answer: (request: http.IncomingMessage, response: http.ServerResponse) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<{ server: http.Server; seen: Array<readonly [string, string]> }>((resolve) => {
            const seen: Array<readonly [string, string]> = []
            const server = http.createServer((request, response) => {
              seen.push([request.url ?? "", request.headers.authorization ?? ""])
              answer(request, response)
            })
            server.listen(0, "127.0.0.1", () => resolve({ server, seen }))
          })
      ),
      ({ server }) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    ({ seen, server }): Stub => ({ port: (server.address() as AddressInfo).port, seen })
  )

/** Returns the header of HTTP's Basic authentication. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
