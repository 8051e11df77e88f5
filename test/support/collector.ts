/**
 * An OpenTelemetry collector on the loopback interface: keeps the requests, whose bodies
 * it reads as JSON, or misbehaves as configured.
 */
import * as Effect from "effect/Effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export type Behavior = "ok" | "fails" | "hangs" | "hangs in its answer" | "resets" | "floods" | "redirects"

export interface Request {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export interface Collector {
  readonly url: string
  readonly requests: ReadonlyArray<Request>
  /** The records of a signal from all requests so far. */
  readonly logs: () => ReadonlyArray<any>
  readonly spans: () => ReadonlyArray<any>
  /** The data points of a metric in the last metrics request. */
  readonly points: (name: string) => ReadonlyArray<any>
  readonly metrics: () => ReadonlyArray<any>
}

const respond = (behavior: Behavior, response: http.ServerResponse, location: string) => {
  if (behavior === "redirects") return void response.writeHead(307, { location }).end()
  if (behavior === "hangs") return
  if (behavior === "resets") return void response.destroy()
  if (behavior === "fails") return void response.writeHead(500).end("broken")
  response.writeHead(200, { "content-type": "application/json" })
  if (behavior === "ok") return void response.end("{}")
  response.write("{")
  if (behavior === "hangs in its answer") return
  const flood = () => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  }
  response.on("drain", flood)
  response.on("error", () => undefined)
  flood()
}

export const collector = (behavior: Behavior = "ok", location = "") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const requests: Array<Request> = []
      const server = http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk) => chunks.push(chunk))
        request.on("error", () => undefined)
        request.on("end", () => {
          requests.push({ path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks) })
          respond(behavior, response, location)
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

/** Returns attributes as an object. */
export const attributesOf = (record: { readonly attributes: ReadonlyArray<any> }): Record<string, any> =>
  Object.fromEntries(record.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
