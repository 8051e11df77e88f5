/**
 * The worker of the proxy under attack: it lets nothing through that the route does not give, no cut of
 * an answer shows a value, the end of a run or of the worker cuts everything, and runs leave nothing behind.
 */
import * as http from "node:http"
import * as net from "node:net"
import * as zlib from "node:zlib"
import { memoryOf, WorkerProcess } from "../harness/proxyWorker.ts"
import { pause } from "../harness/program.ts"
import { median } from "../harness/quantile.ts"
import { hashOf, newToken, routeTo, startStub, type Stub } from "../support/proxy.ts"
import { attacks, tunnelTargets } from "../support/proxyAttacks.ts"
import type { Random } from "../support/random.ts"
import { within } from "../support/within.ts"
import { proxyDiskRounds } from "./proxyDisk.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

const host = "localhost"
const upstream = ({ port }: Stub) => ({ host, port, path: "" })

/** Sends bytes in pieces, and returns all that comes back until the worker closes the connection. */
const send = async (what: string, socketPath: string, pieces: ReadonlyArray<Buffer>): Promise<string> => {
  const socket = net.connect(socketPath)
  let text = ""
  socket.on("data", (piece) => void (text += piece.toString("latin1")))
  socket.on("error", () => undefined)
  const closed = new Promise<void>((done) => void socket.on("close", done))
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(setImmediate)
  }
  await within(`the end of the connection after ${what}, of which came: ${text}`, closed)
  return text
}

const cut = (bytes: Buffer, random: Random, most: number): ReadonlyArray<Buffer> => {
  const pieces: Array<Buffer> = []
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random.below(most)
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}

/** Every attack of the table, cut at random, alone and behind a request that passes. */
const attackRounds = async ({ log, random, rounds }: ScenarioOptions): Promise<Row> => {
  const stub = await startStub((_request, response) => response.end("ok"), host)
  const worker = new WorkerProcess()
  await worker.ready()
  const [token, tunnel] = [newToken(), newToken()]
  await worker.open([routeTo(stub, token, { upstream: upstream(stub), intercept: true })], hashOf(tunnel))
  const good = `GET /good HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`
  let [tried, failed] = [0, 0]
  const table = [
    ...attacks.map(({ bytes, statuses, what }) => ({
      what,
      bytes: Buffer.from(bytes.replaceAll("TOKEN", token), "latin1"),
      statuses
    })),
    ...tunnelTargets.map((target) => ({
      what: `CONNECT ${target}`,
      bytes: Buffer.from(
        `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: Basic ${btoa(`run:${tunnel}`)}\r\n\r\n`
      ),
      statuses: [403]
    }))
  ]
  for (let round = 0; round < rounds; round += 1) {
    for (const { bytes, statuses, what } of table) {
      const isBehind = random.below(2) === 0
      const whole = isBehind ? Buffer.concat([Buffer.from(good), bytes]) : bytes
      const pieces = cut(whole, random, Math.max(random.pick([3, 40, 100_000]), whole.length / 100))
      const answer = await send(JSON.stringify(what), worker.socket, pieces)
      const found = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
      tried += 1
      const refusals = found.slice(isBehind && found[0] === 200 ? 1 : 0)
      // A tunnel or an upgrade behind a request that has no answer yet breaks the connection.
      const mayBreak = isBehind && /^CONNECT |^Upgrade:/m.test(bytes.toString("latin1"))
      const isRefused = refusals.length === 1 && statuses.includes(refusals[0] ?? 0)
      const isExpected = isRefused || (mayBreak && found.length === 0)
      const isReached = stub.requests.some(({ url }) => url !== "/good")
      stub.requests.length = 0
      if (isExpected && !isReached) continue
      failed += 1
      log(`${JSON.stringify(what)}${isBehind ? ", behind another" : ""}: ${found.join(" ")}, reached ${isReached}`)
    }
  }
  stub.close()
  await worker.end()
  return { what: "attacks that got an answer of the upstream", tried, failed }
}

const encode: Readonly<Record<string, (text: string) => Buffer>> = {
  identity: (text) => Buffer.from(text),
  gzip: (text) => zlib.gzipSync(text),
  br: (text) => zlib.brotliCompressSync(text),
  deflate: (text) => zlib.deflateSync(text),
  zstd: (text) => zlib.zstdCompressSync(text)
}

/** Answers full of the value, of every encoding and cut, must have none of it and keep their length. */
const maskRounds = async ({ log, random, rounds }: ScenarioOptions): Promise<Row> => {
  const value = "aabaabaac-aabaab-7"
  let [text, encoding] = ["", "identity"]
  const stub = await startStub((_request, response) => {
    const bytes = encode[encoding]?.(text) ?? Buffer.from(text)
    response.writeHead(200, {
      "x-echo": `${value} ${value}`,
      ...(encoding !== "identity" && { "content-encoding": encoding }),
      ...(random.below(2) === 0 && { "content-length": bytes.length })
    })
    void (async () => {
      for (const piece of cut(bytes, random, random.pick([2, 7, 200]))) {
        response.write(piece)
        if (random.below(4) === 0) await new Promise(setImmediate)
      }
      response.end()
    })()
  }, host)
  const worker = new WorkerProcess()
  await worker.ready()
  const token = newToken()
  await worker.open([routeTo(stub, token, { value, upstream: upstream(stub) })])
  const forms = [value, btoa(value), Buffer.from(value).toString("hex"), encodeURIComponent(value)]
  let failed = 0
  for (let round = 0; round < rounds; round += 1) {
    encoding = random.pick(Object.keys(encode))
    text = Array.from({ length: 1 + random.below(30) }, () =>
      random.pick([
        ...forms,
        value.slice(0, random.below(value.length)),
        value.slice(random.below(value.length)),
        "aab",
        "\n",
        "x"
      ])
    ).join("")
    const answer = await get(worker.socket, token)
    const isShown = forms.some((form) => answer.body.includes(form) || answer.headers.includes(form))
    if (!isShown && answer.isWhole && answer.body.length === text.length) continue
    failed += 1
    log(
      `${encoding}, ${text.length} bytes: ${isShown ? "shown" : `whole ${answer.isWhole}, ${answer.body.length} bytes`}`
    )
  }
  stub.close()
  await worker.end()
  return { what: "answers that show a value or lose a byte", tried: rounds, failed }
}

interface Answer {
  readonly body: string
  readonly headers: string
  readonly isWhole: boolean
  /** 0 if the connection broke before an answer. */
  readonly status: number
}

const get = (socketPath: string, token: string): Promise<Answer> =>
  within(
    "an answer",
    new Promise((done) => {
      const headers = { host: "localhost", authorization: `Bearer ${token}`, "accept-encoding": "gzip" }
      const request = http.get({ socketPath, headers, agent: false })
      request.on("error", () => done({ body: "", headers: "", isWhole: false, status: 0 }))
      request.on("response", (response) => {
        let body = ""
        response.on("data", (piece: Buffer) => void (body += piece.toString("latin1")))
        response.on("error", () => undefined)
        response.on("close", () =>
          done({
            body,
            headers: response.rawHeaders.join("\n"),
            isWhole: response.complete,
            status: response.statusCode ?? 0
          })
        )
      })
    })
  )

interface Stream {
  /** Settles when its connection is closed. */
  readonly ended: Promise<{ readonly at: number; readonly isWhole: boolean }>
}

/** Opens streams, and returns them when each has its first byte. */
const streams = (socketPath: string, token: string, count: number): Promise<ReadonlyArray<Stream>> =>
  Promise.all(
    Array.from({ length: count }, async (): Promise<Stream> => {
      const headers = { host: "localhost", authorization: `Bearer ${token}` }
      const request = http.get({ socketPath, path: "/stream", headers, agent: false })
      const response = await within(
        "the head of a stream",
        new Promise<http.IncomingMessage>((done, fail) => void request.on("response", done).on("error", fail))
      )
      const closed = new Promise<Awaited<Stream["ended"]>>((done) => {
        response.on("error", () => undefined)
        response.on("close", () => done({ at: performance.now(), isWhole: response.complete }))
      })
      await within("the first byte of a stream", new Promise((done) => void response.on("data", done)))
      return { ended: within("the end of a stream", closed) }
    })
  )

/** Ends runs and workers while 40 streams are open, and kills the worker at each step of a request. */
const cutRounds = async ({ random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const stub = await startStub((_request, response) => {
    // As fast as a model writes: the streams share this process with their clients, whose delay is measured.
    const timer = setInterval(() => response.write("data: x\n\n"), 20)
    response.on("close", () => clearInterval(timer))
  }, host)
  const cuts: Array<{ readonly middle: number; readonly last: number }> = []
  let [clean, refused, tried] = [0, 0, 0]
  for (let round = 0; round < Math.max(5, rounds / 10); round += 1) {
    const worker = new WorkerProcess()
    await worker.ready()
    const token = newToken()
    const { run } = await worker.open([routeTo(stub, token, { upstream: upstream(stub) })])
    const open = await streams(worker.socket, token, 40)
    const began = performance.now()
    await worker.close(run)
    const ends = await Promise.all(open.map(({ ended }) => ended))
    const delays = ends.map(({ at }) => at - began)
    cuts.push({ middle: median(delays), last: Math.max(...delays) })
    clean += ends.filter(({ isWhole }) => isWhole).length
    if ((await get(worker.socket, token)).status !== 403) refused += 1
    tried += 40
    const again = newToken()
    await worker.open([routeTo(stub, again, { upstream: upstream(stub) })])
    const others = await streams(worker.socket, again, 5)
    const late = get(worker.socket, again)
    await pause(random.below(5))
    if (random.below(2) === 0) worker.child.disconnect()
    else worker.child.kill("SIGKILL")
    clean += (await Promise.all(others.map(({ ended }) => ended))).filter(({ isWhole }) => isWhole).length
    clean += (await late).isWhole ? 1 : 0
    tried += 6
    await worker.end()
  }
  stub.close()
  const [middle, last] = [median(cuts.map((one) => one.middle)), median(cuts.map((one) => one.last))]
  const worst = Math.max(...cuts.map((one) => one.last))
  return [
    { what: "streams that looked complete when their run or worker ended", tried, failed: clean },
    {
      // The medians of the rounds: other load on the machine delays some of them.
      what: "40 streams cut by the end of their run, half of them below 30 ms, all within 50 ms",
      tried: cuts.length,
      failed: middle < 30 && last < 50 ? 0 : 1,
      stats: `half ${middle.toFixed(1)} ms, all ${last.toFixed(1)} ms, the worst ${worst.toFixed(1)} ms`
    },
    { what: "requests answered after the end of their run", tried: cuts.length, failed: refused }
  ]
}

/** Opens and closes so many runs, some of them used, and compares the memory. */
const runRounds = async (count: number): Promise<Row> => {
  const stub = await startStub((_request, response) => response.end("ok"), host)
  const worker = new WorkerProcess(["--max-semi-space-size=1", "--max-old-space-size=96"])
  await worker.ready()
  const [began, sizes]: [number, Array<number>] = [performance.now(), []]
  let failed = 0
  for (let n = 0; n < count; n += 1) {
    const token = newToken()
    const { run } = await worker.open([routeTo(stub, token, { upstream: upstream(stub), intercept: n % 10 === 0 })])
    if (n % 20 === 0 && (await get(worker.socket, token)).body !== "ok") failed += 1
    const closed = await worker.close(run)
    if (closed.type !== "closed") failed += 1
    if (n % 20 === 0 && (await get(worker.socket, token)).status !== 403) failed += 1
    if (n % (count / 10) === count / 10 - 1) sizes.push(memoryOf(worker.pid, "VmRSS") / 1024 / 1024)
    if (worker.messages.length > 1000) worker.messages.length = 0
  }
  const [first = 0, last = 0] = [sizes[Math.floor(sizes.length / 3)], sizes.at(-1)]
  stub.close()
  await worker.end()
  return {
    what: "runs opened and closed, of which something is left",
    tried: count,
    failed: failed + (last > first + 20 ? 1 : 0),
    stats: `${((performance.now() - began) / count).toFixed(2)} ms each; ${sizes.map((size) => size.toFixed(0)).join(" ")} MiB`
  }
}

export const scenario: Scenario = {
  promise: "a program with a placeholder gets what its route gives, while its run lasts, and never the value",
  rounds: 100,
  run: async (options) => [
    await attackRounds({ ...options, rounds: Math.max(1, options.rounds / 20) }),
    await maskRounds({ ...options, rounds: options.rounds * 10 }),
    ...(await cutRounds(options)),
    await runRounds(options.rounds * 100),
    await proxyDiskRounds({ ...options, rounds: Math.max(1, options.rounds / 10) })
  ]
}
