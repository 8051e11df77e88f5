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

/** A name of loopback beside localhost, which no client sends through a proxy. */
export const otherName = (): { readonly name: string; readonly address: string } | undefined => {
  const text = fs.readFileSync("/etc/hosts", "utf8")
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/))
  const named = lines.flatMap(([address = "", ...names]) => names.map((name) => ({ address, name })))
  return named.find(({ address, name }) => /^127\.\d+\.\d+\.\d+$/.test(address) && !name.endsWith("localhost"))
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
  readonly server: http.Server | https.Server
  readonly port: number
  /** The header Authorization of each request, by its path; empty where there was none. */
  readonly seen: ReadonlyArray<readonly [path: string, authorization: string]>
}

/** A server on loopback, with TLS if there is a certificate. */
export const stubServer = (
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  certificate?: { readonly key: Buffer; readonly cert: Buffer },
  address = "127.0.0.1"
) =>
  Effect.gen(function* () {
    const seen: Array<readonly [string, string]> = []
    const listener = (request: http.IncomingMessage, response: http.ServerResponse) => {
      seen.push([request.url ?? "", request.headers.authorization ?? ""])
      answer(request, response)
    }
    const server = certificate === undefined ? http.createServer(listener) : https.createServer(certificate, listener)
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, address, resolve))),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    const stub: Stub = { server, port: (server.address() as AddressInfo).port, seen }
    return stub
  })

/** A certificate for 127.0.0.1 that signs itself, made now; `file` is its path. `more` are further names. */
export const selfSigned = Effect.fnUntraced(function* (
  openssl: string,
  directory: string,
  more: ReadonlyArray<string> = []
) {
  const [key, file] = [path.join(directory, "key.pem"), path.join(directory, "cert.pem")]
  const kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  const all = ["IP:127.0.0.1", "DNS:localhost", ...more.map((name) => `DNS:${name}`)].join(",")
  const names = ["-subj", "/CN=localhost", "-addext", `subjectAltName=${all}`]
  yield* runProgram(openssl, [...kind, ...names, "-keyout", key, "-out", file], { env: {}, cwd: directory })
  return { key: fs.readFileSync(key), cert: fs.readFileSync(file), file }
})

/** Returns the header of HTTP's Basic authentication. */
export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`

/** Passes a request to git's own server. */
export const passToGit = (
  git: string,
  root: string,
  request: http.IncomingMessage,
  response: http.ServerResponse
): void => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost")
  const env = {
    PATH: "/usr/bin:/bin",
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    REMOTE_USER: "me",
    REQUEST_METHOD: request.method,
    PATH_INFO: pathname,
    QUERY_STRING: searchParams.toString(),
    CONTENT_TYPE: request.headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? ""
  }
  const child = spawn(git, ["http-backend"], { env })
  request.pipe(child.stdin)
  const chunks: Array<Buffer> = []
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.once("close", () => {
    const whole = Buffer.concat(chunks)
    const at = whole.indexOf("\r\n\r\n")
    const headers = whole.subarray(0, at).toString().split("\r\n")
    const named = new Map(headers.map((line) => [line.split(": ")[0] ?? "", line.split(": ")[1] ?? ""]))
    const status = Number.parseInt(named.get("Status") ?? "200", 10)
    named.delete("Status")
    response.writeHead(status, Object.fromEntries(named)).end(whole.subarray(at + 4))
  })
}
