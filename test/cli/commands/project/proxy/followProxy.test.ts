/**
 * The run of a proxy at the daemon, which is a stand-in here: opened, watched, opened again after a restart.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as net from "node:net"
import * as path from "node:path"
import { followProxy, openRun } from "../../../../../src/cli/commands/project/proxy/followProxy.ts"
import { temporaryDirectory } from "../../../../support/temporary.ts"
import { until } from "../../../../support/waiting.ts"

type Answer = { readonly result: unknown } | { readonly error: object } | "nothing" | "close"

/** A daemon that answers each method from a list of its own, and then nothing. */
const standIn = Effect.fnUntraced(function* (answers: Record<string, Array<Answer>>) {
  const socketPath = path.join(yield* temporaryDirectory, "s.sock")
  const asked: Array<{ readonly method: string; readonly params: any }> = []
  const connections = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    connections.add(socket)
    socket.on("error", () => undefined)
    socket.once("close", () => connections.delete(socket))
    socket.on("data", (data) => {
      for (const line of data.toString().trim().split("\n")) {
        const { method, params } = JSON.parse(line)
        if (method === "secrets.status") socket.write('{"jsonrpc":"2.0","id":1,"result":{}}\n')
        else {
          asked.push({ method, params })
          const answer = answers[method]?.shift() ?? "nothing"
          if (answer === "close") socket.destroy()
          else if (answer !== "nothing") socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, ...answer })}\n`)
        }
      }
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(socketPath, resolve))),
    () => Effect.sync(() => void server.close())
  )
  const opens = () => asked.filter(({ method }) => method === "proxy.open").map(({ params }) => params)
  return { socketPath, asked, opens, connections }
})

const route = (name: string) => ({
  name,
  secret: `${name}_key`,
  upstream: `https://${name}.example`,
  inject: { kind: "bearer" },
  placeholder: "",
  intercept: false
})
const opened = (run: string, ...names: ReadonlyArray<string>): Answer => ({
  result: { run_id: run, cursor: 1, socket: `/${run}`, expires_at: "", routes: names.map(route) }
})
const news = (...events: ReadonlyArray<object>): Answer => ({ result: { events, cursor: 2 } })
const refusal = (tag: string, more: object = {}): Answer => ({
  error: { code: -32603, message: `is ${tag}`, data: { tag, ...more } }
})

const open = Effect.fnUntraced(function* (answers: Record<string, Array<Answer>>) {
  const daemon = yield* standIn(answers)
  const run = yield* openRun({
    daemon: { socketPath: daemon.socketPath, timeout: Duration.seconds(5) },
    clientId: "me/agent[1]",
    routes: [
      { name: "github", hash: "h1" },
      { name: "git", hash: "h2", paths: ["/me/**"] }
    ],
    connectHash: "h3",
    ttl: "600s",
    origin: { via: "exec" },
    waitUntil: 0,
    requireDaemon: undefined
  })
  let reopened = 0
  const following = yield* Effect.forkScoped(followProxy(run, () => void (reopened += 1)))
  return { ...daemon, run, following, reopened: () => reopened }
})

describe("the run of a proxy", () => {
  it.live("is opened with hashes, limits and where it comes from", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { asked, opens, run } = yield* open({ "proxy.open": [opened("r1", "github", "git")] })
        const [{ routes, ...params }] = opens()
        assert.deepStrictEqual(JSON.parse(routes), [
          { name: "github", token_hash: "h1" },
          { name: "git", paths: ["/me/**"], token_hash: "h2" }
        ])
        const said = { client_id: "me/agent[1]", connect_hash: "h3", ttl: "600s", pid: 0, via: "exec" }
        assert.deepStrictEqual(params, said)
        assert.strictEqual(run.opened.socket, "/r1")
        yield* until(() => asked.length === 2)
        assert.deepInclude(asked[1], { method: "runs.watch" })
        assert.deepInclude(asked[1]?.params, { run_id: "r1", after: 1 })
      })
    )
  )

  it.live("is opened again with the same hashes after the connection was lost", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { connections, opens, reopened, run } = yield* open({
          "proxy.open": [opened("r1", "github", "git"), "close", opened("r2", "github", "git")]
        })
        for (const one of connections) one.destroy()
        yield* until(() => run.connection === undefined)
        yield* until(() => run.opened.run_id === "r2")
        const sent = opens()
        assert.deepStrictEqual(sent[0], sent[2])
        assert.strictEqual(run.opened.socket, "/r2")
        yield* until(() => reopened() === 1)
        assert.isFalse(run.isOver)
      })
    )
  )

  it.live("leaves out what was revoked, and is over when nothing is left", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const changed = { kind: "changed", secret_name: "git_key" }
        const { asked, connections, opens, run } = yield* open({
          "proxy.open": [opened("r1", "github", "git"), opened("r2", "git")],
          "runs.watch": [
            news(changed, { kind: "revoked", secret_name: "github_key" }),
            "nothing",
            news({ kind: "killswitch" })
          ]
        })
        assert.deepStrictEqual(yield* Queue.take(run.news), { because: "revoked", secretName: "github_key" })
        yield* until(() => asked.length === 3)
        for (const one of connections) one.destroy()
        yield* until(() => opens().length === 2)
        assert.deepStrictEqual(JSON.parse(opens()[1].routes), [{ name: "git", paths: ["/me/**"], token_hash: "h2" }])
        assert.deepStrictEqual(yield* Queue.take(run.news), { because: "killswitch", secretName: undefined })
        assert.isTrue(run.isOver)
      })
    )
  )

  it.live("is opened again where the worker was lost, and not after its end", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const lost = yield* open({
          "proxy.open": [opened("r1", "github", "git"), opened("r2", "github", "git")],
          "runs.watch": [refusal("RunNotFound")]
        })
        yield* until(() => lost.run.opened.run_id === "r2")
        yield* until(() => lost.connections.size === 1)
        const { following, opens, run } = yield* open({
          "proxy.open": [opened("r1", "github", "git")],
          "runs.watch": [news({ kind: "killswitch" }), refusal("RunNotFound")]
        })
        yield* until(() => following.pollUnsafe() !== undefined)
        assert.deepStrictEqual([run.isOver, opens().length], [true, 1])
      })
    )
  )

  it.live("reports a refusal, and the request that a person has to answer", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const request = { request_id: "q1", expires_at: "soon" }
        const failure = yield* Effect.flip(open({ "proxy.open": [refusal("ApprovalPending", request)] }))
        assert.deepInclude(failure, { code: "ApprovalPending", request })
        const strange = yield* Effect.flip(open({ "proxy.open": [{ result: { run_id: 1 } }] }))
        assert.strictEqual(strange.code, "protocol_error")
      })
    )
  )
})
