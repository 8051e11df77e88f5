/**
 * The checks of `secrets doctor` that look at joelclaw, at the collector and at the service of this
 * machine. The time limits are on TestClock, so only a stand-in that fails is one that does not answer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import type { Examined } from "../../../../src/cli/commands/doctor/examine.ts"
import { checkCollector, checkJoelclaw } from "../../../../src/cli/commands/doctor/serviceChecks.ts"
import { doctorSetup, found } from "../../../support/doctorSetup.ts"

/** A daemon that sent events, and failed at the last one. */
const withSink = (examined: Examined, kind: string): Examined => {
  const last_failure = { at: "2026-11-30T00:00:00Z", reason: "jane's words" }
  const sinks = [{ kind, target: undefined, sent: 3, dropped: 1, queued: 0, last_failure }]
  const daemon: any = Result.succeed({ status: {}, diagnostics: { sinks } })
  return { ...examined, daemon }
}

/** A collector that answers every request with this status. */
const collector = (status: number, location?: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<http.Server>((resolve) => {
            const server = http.createServer((request, response) =>
              request
                .resume()
                .on("end", () => response.writeHead(status, location === undefined ? {} : { location }).end())
            )
            server.listen(0, "127.0.0.1", () => resolve(server))
          })
      ),
      (server) => Effect.sync(() => server.closeAllConnections())
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

describe("secrets doctor", () => {
  it.effect("asks joelclaw for its version, and the daemon for what it sent", () =>
    Effect.gen(function* () {
      const { examined, home } = yield* doctorSetup
      const program = path.join(home, "joelclaw")
      const environment = { HOME: home, PATH: "/usr/bin:/bin", JOELCLAW_BIN: program }
      assert.deepStrictEqual(yield* found(checkJoelclaw, examined({}, environment)), [
        "ok: not installed, so it gets no events"
      ])
      fs.writeFileSync(program, "#!/bin/sh\nexit 0\n", { mode: 0o755 })
      assert.deepStrictEqual(yield* found(checkJoelclaw, examined({}, environment)), ["ok: it answers"])
      assert.deepStrictEqual(yield* found(checkJoelclaw, withSink(examined({}, environment), "joelclaw")), [
        "ok: it answers; 3 events sent, 1 lost",
        "note: the daemon could not send to it"
      ])
      fs.writeFileSync(program, "#!/bin/sh\nexit 3\n")
      assert.deepStrictEqual(yield* found(checkJoelclaw, examined({}, environment)), ["warning: it does not answer"])
    })
  )

  it.effect("sends the collector a request without data", () =>
    Effect.gen(function* () {
      const { examined } = yield* doctorSetup
      assert.deepStrictEqual(yield* found(checkCollector, examined()), ["ok: none is configured"])
      const withEndpoint = (endpoint: string, protocol = "http/json") =>
        examined({ otlp: { endpoint, protocol, signals: ["logs"] } })
      const [well, unauthorized] = [yield* collector(200), yield* collector(401)]
      assert.deepStrictEqual(yield* found(checkCollector, withEndpoint(well)), ["ok: logs: it answers"])
      assert.deepStrictEqual(yield* found(checkCollector, withEndpoint(well, "http/protobuf")), [
        "ok: logs: it answers"
      ])
      assert.deepStrictEqual(yield* found(checkCollector, withEndpoint(unauthorized)), [
        "warning: logs: it answers with status 401"
      ])
      // It follows no redirect, since that would send the headers to another place.
      const redirecting = yield* collector(307, well)
      assert.deepStrictEqual(yield* found(checkCollector, withEndpoint(redirecting)), [
        "warning: logs: it answers with status 307"
      ])
      // Nothing can listen on port 0.
      assert.deepStrictEqual(yield* found(checkCollector, withEndpoint("http://127.0.0.1:0")), [
        "warning: logs: it does not answer"
      ])
    })
  )
})
