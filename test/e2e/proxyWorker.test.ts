/**
 * The worker of the proxy as a process: it lives as long as its daemon, and nothing else loads its code.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { invocation, isScript, program } from "../harness/program.ts"
import { memoryOf, WorkerProcess } from "../harness/proxyWorker.ts"
import { newToken, routeTo, startStub, type Stub } from "../support/proxy.ts"
import { within } from "../support/within.ts"

const host = "localhost"
const open = async (worker: WorkerProcess, { ca, port }: Stub) => {
  await worker.ready()
  const token = newToken()
  const { run } = await worker.open([routeTo({ ca, port }, token, { upstream: { host, port, path: "" } })])
  return { token, run }
}

/** Begins a stream, and returns whether it will have ended as a whole. */
const begin = async (socketPath: string, token: string) => {
  const headers = { host, authorization: `Bearer ${token}` }
  const request = http.get({ socketPath, headers, agent: false })
  request.on("error", () => undefined)
  const response = await new Promise<http.IncomingMessage>((done) => void request.on("response", done))
  response.on("error", () => undefined).resume()
  return { whole: new Promise<boolean>((done) => void response.on("close", () => done(response.complete))) }
}

describe("the worker of the proxy", () => {
  it("cuts what is in flight when it is killed, and when its daemon is gone", async () => {
    const stub = await startStub((_request, response) => void response.write("begun"), host)
    const workers = [new WorkerProcess(), new WorkerProcess()]
    const ends = await Promise.all(
      workers.map(async (worker, at) => {
        const { token } = await open(worker, stub)
        const { whole } = await begin(worker.socket, token)
        if (at === 0) worker.child.kill("SIGKILL")
        else {
          // A terminal signals the whole group: the daemon decides.
          worker.child.kill("SIGINT")
          worker.child.disconnect()
        }
        return [await whole, await worker.ended]
      })
    )
    assert.deepStrictEqual(ends, [
      [false, "SIGKILL"],
      [false, "0"]
    ])
    await Promise.all(workers.map((worker) => worker.end()))
    stub.close()
  })

  it("passes no upgrade on that stands behind another request", async () => {
    const stub = await startStub((_request, response) => void response.end("ok"), host)
    const worker = new WorkerProcess()
    const { token } = await open(worker, stub)
    const head = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n`
    const upgrade = `${head("/socket")}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
    const socket = net.connect(worker.socket, () => socket.write(`${head("/first")}\r\n${upgrade}`))
    socket.resume().on("error", () => undefined)
    await within("the end of the connection", new Promise((done) => void socket.on("close", done)))
    assert.notInclude(
      stub.requests.map(({ url }) => url),
      "/socket"
    )
    await worker.end()
    stub.close()
  })

  it.skipIf(!isScript)("trusts the certificates of the system, which SSL_CERT_FILE names", async () => {
    const stub = await startStub((_request, response) => void response.end("ok"), host)
    const file = path.join(fs.mkdtempSync(path.join(tmpdir(), "roots-")), "roots.pem")
    fs.writeFileSync(file, stub.ca)
    const empty = path.join(path.dirname(file), "empty")
    fs.mkdirSync(empty)
    const statuses = await Promise.all(
      ["/dev/null", file].map(async (name) => {
        const worker = new WorkerProcess([], { SSL_CERT_FILE: name, SSL_CERT_DIR: empty })
        await worker.ready()
        const token = newToken()
        const route = routeTo(stub, token, { upstream: { host, port: stub.port, path: "" }, caPem: undefined })
        await worker.open([route])
        const headers = { host, authorization: `Bearer ${token}` }
        const status = await new Promise((done) => {
          http.get({ socketPath: worker.socket, headers, agent: false }, (response) => {
            response.resume()
            done(response.statusCode)
          })
        })
        await worker.end()
        return status
      })
    )
    fs.rmSync(path.dirname(file), { recursive: true })
    stub.close()
    assert.deepStrictEqual(statuses, [502, 200])
  })

  it.skipIf(process.platform !== "linux")("is small at rest", async () => {
    const worker = new WorkerProcess(["--max-semi-space-size=1", "--max-old-space-size=96"])
    await worker.ready()
    assert.isBelow(memoryOf(worker.pid, "VmRSS") / 1024 / 1024, isScript ? 80 : 120)
    await worker.end()
  })

  it("is no command of a person", async () => {
    const [command = "", ...args] = invocation
    const status = await new Promise((done) => {
      execFile(command, [...args, "proxy-worker"], (error) => done(error?.code))
    })
    assert.notStrictEqual(status, undefined)
  })

  it.skipIf(!isScript)("is in files that nothing else loads", () => {
    const folder = path.dirname(program)
    const text = (file: string) => fs.readFileSync(path.join(folder, file), "utf8")
    const files = fs.readdirSync(folder).filter((file) => /\.[cm]js$/.test(file))
    const ofUndici = files.filter((file) => text(file).includes("undici.error.UND_ERR"))
    assert.isNotEmpty(ofUndici)
    // An import on demand is `=>require("./file")`.
    const loaders = files.filter(
      (file) =>
        !ofUndici.includes(file) && ofUndici.some((one) => new RegExp(`(?<!=>)require\\("\\./${one}"`).test(text(file)))
    )
    assert.deepStrictEqual(loaders, [])
    assert.isTrue(files.some((file) => text(file).includes(`=>require("./${ofUndici[0]}"`)))
  })
})
