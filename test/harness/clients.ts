/**
 * Programs of others that tests call where they are installed. A test without its program prints the
 * name of what it leaves out, and there are as many tests everywhere.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { programPath } from "../../src/process/programPath.ts"
import type { Ended } from "./program.ts"

/** Where the program is; undefined if it is not installed. */
export const installed = (name: string): string | undefined => {
  const found = programPath(name, `${process.env["PATH"] ?? ""}:/usr/bin:/bin:/usr/sbin:/usr/lib/git-core`)
  return found.includes("/") ? found : undefined
}

/** Prints what a test leaves out, and for want of what. */
export const leaveOut = (what: string, name: string): void =>
  void process.stderr.write(`left out for want of ${what}: ${name}\n`)

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
      return Effect.sync(() => leaveOut(missing.join(", "), name))
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

/** A server on loopback, with TLS if there is a certificate. */
export const stubServer = (
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  certificate?: { readonly key: Buffer; readonly cert: Buffer }
) =>
  Effect.gen(function* () {
    const seen: Array<readonly [string, string]> = []
    const listener = (request: http.IncomingMessage, response: http.ServerResponse) => {
      seen.push([request.url ?? "", request.headers.authorization ?? ""])
      answer(request, response)
    }
    const server = certificate === undefined ? http.createServer(listener) : https.createServer(certificate, listener)
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    const stub: Stub = { port: (server.address() as AddressInfo).port, seen }
    return stub
  })

/** A certificate for 127.0.0.1 that signs itself, made now; `file` is its path. */
export const selfSigned = Effect.fnUntraced(function* (openssl: string, directory: string) {
  const [key, file] = [path.join(directory, "key.pem"), path.join(directory, "cert.pem")]
  const kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
  yield* runProgram(openssl, [...kind, ...names, "-keyout", key, "-out", file], { env: {}, cwd: directory })
  return { key: fs.readFileSync(key), cert: fs.readFileSync(file), file }
})

/** Returns the header of HTTP's Basic authentication. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
