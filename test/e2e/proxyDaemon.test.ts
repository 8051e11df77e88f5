/**
 * The proxy of a daemon, with its worker as a process: what is revoked is cut in flight, and a
 * SIGKILL of the worker or the daemon loses no record and leaves no process with a value.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { proxyTokenHash } from "../../src/domain/proxyMessages.ts"
import { Client } from "../harness/connection.ts"
import { auditOf, rpc, startDaemon } from "../harness/daemon.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { startStub } from "../support/proxy.ts"
import { temporaryHome } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const value = "value-of-the-token-7f3a"

/** An upstream that says what it got, or streams until it is cut. */
const stub = await startStub((request, response) => {
  if (request.url !== "/stream")
    return void response.end(String(request.headers["authorization"] === `Bearer ${value}`))
  response.writeHead(200, { "content-type": "text/event-stream" })
  const timer = setInterval(() => response.write("data: x\n\n"), 5)
  response.on("close", () => clearInterval(timer))
}, "localhost")
const files = temporaryHome()
const ca = path.join(files, "ca.pem")
fs.writeFileSync(ca, stub.ca)
afterAll(() => {
  stub.close()
  fs.rmSync(files, { recursive: true, force: true })
})

const settings = {
  proxy: { routes: { api: { secret: "token", upstream: `https://localhost:${stub.port}`, private: true, ca } } }
}
const shared = sharedDaemon({ token: value }, settings)

/** Opens a run as `secrets exec --proxy` does, on a connection that stays. */
const open = async (socket: string, clientId: string) => {
  const client = new Client(socket)
  const token = `asp_${randomBytes(32).toString("base64url")}`
  const routes = JSON.stringify([{ name: "api", token_hash: proxyTokenHash(token) }])
  const answer = await client.ask("proxy.open", { client_id: clientId, routes })
  if (answer?.result === undefined) throw new Error(`not opened: ${answer?.error?.message}`)
  return { client, token, opened: answer.result }
}
type Opened = Awaited<ReturnType<typeof open>>

/** Sends a request to the worker; `onData` gets what comes. Returns the status and the text, or how it broke off. */
const send = ({ opened, token }: Opened, target: string, onData: () => void = () => undefined) =>
  new Promise<string>((resolve) => {
    const headers = { host: "127.0.0.1:1", authorization: `Bearer ${token}` }
    const request = http.get({ socketPath: opened.socket, path: target, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (piece: string) => {
        text += piece
        onData()
      })
      response.on("end", () => resolve(`${response.statusCode} ${text}`))
      response.on("error", () => resolve("broken off"))
    })
    request.on("error", () => resolve("no answer"))
  })

const statusOf = (socket: string) => Effect.map(rpc(socket, "proxy.status", {}), ({ result }) => result)
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
/** Repeats a request until a worker answers it. */
const untilServed = async (run: Opened): Promise<string> => {
  const answer = await send(run, "/x")
  return answer === "no answer" ? untilServed(run) : answer
}

describe("the proxy of a daemon", () => {
  it.live("carries requests of open runs, and cuts what is in flight at a revoke", () =>
    Effect.gen(function* () {
      const { call, directory, secrets, socket } = shared()
      const run = yield* Effect.promise(() => open(socket, "laptop/agent[1]"))
      assert.strictEqual(fs.statSync(run.opened.socket).mode & 0o777, 0o600)
      assert.strictEqual(run.opened.socket, path.join(directory, "proxy.sock"))
      assert.strictEqual(yield* Effect.promise(() => send(run, "/x")), "200 true")
      const shown = yield* secrets(["proxy", "--json"])
      assert.deepInclude(JSON.parse(shown.stdout).result.runs[0].routes[0], { name: "api", requests: 1, refused: 0 })
      assert.notInclude(shown.stdout, value)
      const streams = yield* Effect.promise(async () => {
        const flowing: Array<Promise<string>> = []
        for (let at = 0; at < 5; at += 1) {
          await new Promise<void>((flows) => void flowing.push(send(run, "/stream", flows)))
        }
        return flowing
      })
      yield* call("revokeMatching", { client_id: "laptop/agent[1]" })
      assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(streams)), Array(5).fill("broken off"))
      assert.notInclude(yield* Effect.promise(() => send(run, "/x")), "200 ")
      const written = () => auditOf(directory).filter(({ action }) => /^proxy_(open|use|close)$/.test(action))
      yield* until(() => written().at(-1)?.["action"] === "proxy_close")
      assert.deepStrictEqual(
        written().map(({ action }) => action),
        ["proxy_open", "proxy_use", "proxy_use", "proxy_close"]
      )
      // A worker of a busy machine may be killed before it has counted the last ones.
      assert.match(written().at(-1)?.["details"], /^revoked; api: \d requests?, /)
      run.client.close()
    })
  )

  it.live("goes on with another worker when one is killed, with the same tokens", () =>
    Effect.gen(function* () {
      const { directory, socket } = shared()
      const run = yield* Effect.promise(() => open(socket, "laptop/agent[2]"))
      assert.strictEqual(yield* Effect.promise(() => send(run, "/x")), "200 true")
      const { worker } = yield* statusOf(socket)
      process.kill(worker.pid, "SIGKILL")
      yield* until(() => !isAlive(worker.pid))
      assert.strictEqual(yield* Effect.promise(() => untilServed(run)), "200 true")
      assert.notStrictEqual((yield* statusOf(socket)).worker.pid, worker.pid)
      run.client.close()
      yield* until(() => auditOf(directory).at(-1)?.["action"] === "run_end")
      const last = auditOf(directory).findLast(({ action }) => action === "proxy_close")
      assert.include(last?.["details"], "connection closed; api: ")
    })
  )

  it.live("leaves no worker when the daemon is killed, and serves the same run after a start", () =>
    Effect.gen(function* () {
      const home = path.join(files, "home")
      fs.mkdirSync(path.join(home, ".agent-secrets"), { recursive: true, mode: 0o700 })
      fs.writeFileSync(path.join(home, ".agent-secrets", "config.json"), JSON.stringify(settings))
      const first = yield* startDaemon({ home })
      yield* rpc(first.socket, "secrets.add", { name: "token", value })
      const run = yield* Effect.promise(() => open(first.socket, "laptop/agent[3]"))
      assert.strictEqual(yield* Effect.promise(() => send(run, "/x")), "200 true")
      const { worker } = yield* statusOf(first.socket)
      yield* first.stop("SIGKILL")
      yield* until(() => !isAlive(worker.pid))
      assert.strictEqual(yield* Effect.promise(() => send(run, "/x")), "no answer")
      const second = yield* startDaemon({ home })
      assert.deepStrictEqual(
        auditOf(second.directory)
          .map(({ action }) => action)
          .filter((action) => action.startsWith("proxy_")),
        ["proxy_open", "proxy_use"]
      )
      const again = yield* Effect.promise(() => open(second.socket, "laptop/agent[3]"))
      assert.strictEqual(yield* Effect.promise(() => send(again, "/x")), "200 true")
      assert.include(yield* Effect.promise(() => send({ ...again, token: run.token }, "/x")), "403 ")
      assert.include(JSON.stringify(auditOf(second.directory)), "no_token, GET /x, 1 request")
      yield* second.stop("SIGTERM")
      const last = auditOf(second.directory).findLast(({ action }) => action === "proxy_close")
      assert.include(last?.["details"], "api: 1 request")
      assert.isFalse(fs.existsSync(again.opened.socket))
    })
  )
})
