/**
 * The proxy of a daemon whose disk is full: no run begins without its audit entry, runs that are
 * open go on, and what they did is recorded once there is room.
 */
import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { proxyTokenHash } from "../../src/domain/proxyMessages.ts"
import { Client } from "../harness/connection.ts"
import { auditOf, launch, untilReady } from "../harness/daemon.ts"
import { startStub } from "../support/proxy.ts"
import { temporaryHome } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"
import type { Row, ScenarioOptions } from "./Scenario.ts"
import { smallDisk } from "./smallDisk.ts"

/** Opens a run as `secrets exec --proxy` does, on a connection that stays. */
const open = async (socket: string, clientId: string) => {
  const client = new Client(socket)
  const token = `asp_${randomBytes(32).toString("base64url")}`
  const routes = JSON.stringify([{ name: "api", token_hash: proxyTokenHash(token) }])
  return { answer: await client.ask("proxy.open", { client_id: clientId, routes }), client, token }
}

const get = (socketPath: string, token: string) =>
  new Promise<number | undefined>((resolve) => {
    const headers = { host: "127.0.0.1:1", authorization: `Bearer ${token}` }
    http
      .get({ socketPath, path: "/", headers, agent: false }, (response) => {
        response.resume()
        response.once("close", () => resolve(response.statusCode))
      })
      .once("error", () => resolve(undefined))
  })

export const proxyDiskRounds = async ({ log, rounds }: ScenarioOptions): Promise<Row> => {
  const value = "a-made-up-value-of-some-length"
  const stub = await startStub((_, response) => response.end("ok"), "localhost")
  const home = temporaryHome()
  const state = path.join(home, ".agent-secrets")
  fs.mkdirSync(state, { mode: 0o700 })
  const [ca, config] = [path.join(home, "ca.pem"), path.join(home, "config.json")]
  fs.writeFileSync(ca, stub.ca)
  const route = { secret: "token", upstream: `https://localhost:${stub.port}`, private: true, ca }
  fs.writeFileSync(config, JSON.stringify({ proxy: { routes: { api: route } } }), { mode: 0o600 })
  const disk = smallDisk(state)
  const target = await untilReady(launch({ home, through: disk.through }, ["--config", config]))
  const directory = disk.directory(target.pid)
  const [socket, door] = [path.join(directory, "agent-secrets.sock"), path.join(directory, "proxy.sock")]
  const owner = new Client(socket)
  let failed = 0
  const fail = (what: string) => {
    failed += 1
    log(what)
  }
  try {
    await owner.ask("add", { name: "token", value })
    for (let round = 0; round < rounds; round += 1) {
      const run = await open(socket, `before[${round}]`)
      if ((await get(door, run.token)) !== 200) fail(`round ${round}: no answer before the disk was full`)
      disk.leave(target.pid, 0)
      // What the last block of the log still holds is written, and recorded.
      let refused = await open(socket, `full[${round}]`)
      for (let tries = 0; tries < 50 && refused.answer?.result !== undefined; tries += 1) {
        refused.client.close()
        refused = await open(socket, `full[${round}]`)
      }
      if (!JSON.stringify(refused.answer).includes(`"tag":"AuditLogError"`)) {
        fail(`round ${round}: opened on a full disk: ${JSON.stringify(refused.answer)}`)
      }
      if ((await get(door, refused.token)) !== 403) fail(`round ${round}: a refused run was served`)
      if ((await get(door, run.token)) !== 200) fail(`round ${round}: an open run did not go on`)
      refused.client.close()
      run.client.close()
      disk.free(target.pid)
      const closing = () =>
        auditOf(directory).find(({ action, client_id }) => action === "proxy_close" && client_id === `before[${round}]`)
      await Effect.runPromise(until(() => closing() !== undefined))
      if (!String(closing()?.["details"]).includes("api: 2 requests")) {
        fail(`round ${round}: recorded as ${closing()?.["details"]}`)
      }
    }
  } finally {
    owner.close()
    await target.end("SIGKILL")
    stub.close()
    fs.rmSync(home, { recursive: true, force: true })
  }
  return { what: "runs on a full disk: refused, served on, recorded later", tried: rounds, failed }
}
