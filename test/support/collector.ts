/**
 * A collector of OpenTelemetry on the loopback interface: keeps what it is sent, in
 * JSON, or behaves as badly as it is told to.
 */
import * as Effect from "effect/Effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export type Manner = "ok" | "fails" | "hangs" | "hangs in its answer" | "resets" | "floods"

export interface Request {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Collector {
  readonly url: string
  readonly requests: ReadonlyArray<Request>
  readonly behave: (manner: Manner) => void
  /** The records of one signal, of all requests so far, each with what its request says of it. */
  readonly logs: () => ReadonlyArray<any>
  readonly spans: () => ReadonlyArray<any>
  /** The points of one figure in the last request that has it. */
  readonly points: (name: string) => ReadonlyArray<any>
  readonly metrics: () => ReadonlyArray<any>
}

const answer = (manner: Manner, response: http.ServerResponse) => {
  if (manner === "hangs") return
  if (manner === "resets") return void response.destroy()
  if (manner === "fails") return void response.writeHead(500).end("broken")
  response.writeHead(200, { "content-type": "application/json" })
  if (manner === "ok") return void response.end("{}")
  response.write("{")
  if (manner === "hangs in its answer") return
  const flood = () => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  }
  response.on("drain", flood)
  response.on("error", () => undefined)
  flood()
}

export const collector = (first: Manner = "ok") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      let manner = first
      const requests: Array<Request> = []
      const server = http.createServer((request, response) => {
        const pieces: Array<Buffer> = []
        request.on("data", (piece) => pieces.push(piece))
        request.on("error", () => undefined)
        request.on("end", () => {
          requests.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(pieces) })
          answer(manner, response)
        })
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const { port } = server.address() as AddressInfo
      const of = (path: string) =>
        requests.filter((one) => one.path === path).map((one) => JSON.parse(one.body.toString("utf8")))
      const metrics = () => of("/v1/metrics").map((data) => data.resourceMetrics[0].scopeMetrics[0].metrics)
      const made: Collector & { readonly server: http.Server } = {
        server,
        url: `http://127.0.0.1:${port}`,
        requests,
        behave: (next) => void (manner = next),
        logs: () => of("/v1/logs").flatMap((data) => data.resourceLogs[0].scopeLogs[0].logRecords),
        spans: () => of("/v1/traces").flatMap((data) => data.resourceSpans[0].scopeSpans[0].spans),
        metrics: () => metrics().at(-1) ?? [],
        points: (name) => {
          const metric = (metrics().at(-1) ?? []).find((one: any) => one.name === name)
          return (metric?.sum ?? metric?.gauge ?? metric?.histogram)?.dataPoints ?? []
        }
      }
      return made
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** Attributes as an object. */
export const attributesOf = (record: { readonly attributes: ReadonlyArray<any> }): Record<string, any> =>
  Object.fromEntries(record.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
