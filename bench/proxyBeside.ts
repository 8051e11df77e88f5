/**
 * How long the daemon takes for an acquire while its worker carries gigabytes, in turns with the daemon alone, and with a bare
 * proxy that carries as much beside it: on few processors everything slows down what runs beside it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Pool } from "undici"
import { Client } from "../test/harness/connection.ts"
import { median } from "../test/harness/quantile.ts"
import { hashOf, newToken } from "../test/support/proxy.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { runLoad, secretNames } from "./load.ts"
import { peerHost, read, type UpstreamPeer } from "./proxyPeers.ts"
import { rounded } from "./stats.ts"
import { withDaemon } from "./subject.ts"

const seconds = Number(process.env["SECONDS_BESIDE"] ?? 6)
const gigabyte = 1024 ** 3

/** Acquires for some seconds while gigabytes come from a pool. */
const acquireBeside = async (socket: string, pool: Pool | undefined, token: string) => {
  const state = { isOver: false, bytes: 0 }
  const carry = async (from: Pool): Promise<void> => {
    await read(from, `/bytes?count=${gigabyte}`, token, (piece) => void (state.bytes += piece.length))
    if (!state.isOver) await carry(from)
  }
  const load = runLoad({ socket, connections: 1, seconds, kind: "acquire", pairs: 10, pauseMillis: 1 })
  const acquiring = load.finally(() => (state.isOver = true))
  await Promise.all([acquiring, pool === undefined ? undefined : carry(pool)])
  const { p50, p99 } = await acquiring
  return { p50, p99, gigabytes: state.bytes / gigabyte }
}

type Sample = Awaited<ReturnType<typeof acquireBeside>>

const rowOf = (beside: string, at: number, samples: ReadonlyArray<ReadonlyArray<Sample>>) => {
  const middle = (of: (one: Sample | undefined, sample: ReadonlyArray<Sample>) => number) =>
    rounded(median(samples.map((sample) => of(sample[at], sample))))
  return {
    "a gigabyte through": beside,
    "acquire p50 ms": middle((one) => one?.p50 ?? 0),
    "p99 ms": middle((one) => one?.p99 ?? 0),
    "p50, times the daemon alone": middle((one, [alone]) => (one?.p50 ?? 0) / (alone?.p50 ?? 1)),
    "p99, times it": middle((one, [alone]) => (one?.p99 ?? 0) / (alone?.p99 ?? 1)),
    "p50, times the bare proxy": middle((one, [, bare]) => (one?.p50 ?? 0) / (bare?.p50 ?? 1)),
    GiB: middle((one) => one?.gigabytes ?? 0)
  }
}

/** Measures so many rounds, and returns the rows of a table; `bare` leads to the bare proxy. */
export const besideGigabytes = async ({ ca, port }: UpstreamPeer, bare: Pool, rounds: number) => {
  const home = temporaryHome()
  const file = path.join(home, "ca.pem")
  fs.writeFileSync(file, ca)
  const route = { secret: secretNames[0], upstream: `https://${peerHost}:${port}`, private: true, ca: file }
  const rows = await withDaemon(
    async ({ socket }) => {
      const [client, token] = [new Client(socket), newToken()]
      const routes = JSON.stringify([{ name: "upstream", token_hash: hashOf(token) }])
      const opened = await client.ask("proxy.open", { client_id: "bench", routes })
      if (opened?.result === undefined) throw new Error(JSON.stringify(opened))
      const worker = new Pool("http://127.0.0.1", { socketPath: opened.result.socket, connections: 1 })
      const turns = [
        { beside: "nothing", pool: undefined },
        { beside: "a bare proxy", pool: bare },
        { beside: "its worker", pool: worker }
      ]
      const samples: Array<ReadonlyArray<Sample>> = []
      for (let round = 0; round <= rounds; round += 1) {
        const sample: Array<Sample> = []
        for (const { pool } of turns) sample.push(await acquireBeside(socket, pool, token))
        // V8 compiles the code in the first one.
        if (round > 0) samples.push(sample)
      }
      await worker.destroy()
      client.close()
      return turns.map(({ beside }, at) => rowOf(beside, at, samples))
    },
    { proxy: { routes: { upstream: route } } }
  )
  fs.rmSync(home, { recursive: true, force: true })
  return rows
}
