/**
 * The loopback port of a run: copies the bytes of each connection to the worker's socket.
 *
 * It reads nothing of HTTP but a first line `CONNECT host:port`. Hosts of the run go to the worker; to every other host it
 * connects itself, as the user, so that no client sends the worker anywhere. While there is no worker it answers 503.
 */
import * as net from "node:net"
import { after } from "../../../../rpc/client/after.ts"
import { withoutBrackets } from "./openedProxy.ts"
import { answerClient, join, type OwnAnswer } from "./relaySockets.ts"
import type { ConnectTarget, ProxyTunnel } from "./tunnel.ts"

/** What a relay depends on; it may change while the run lasts. */
export interface RelayState {
  /** Where the worker listens; undefined while there is none. */
  readonly socket: () => string | undefined
  /** Whether the run has ended for good. */
  readonly isOver: () => boolean
  /** The hosts that the worker takes CONNECT for. */
  readonly hosts: ReadonlySet<string>
  readonly tunnel: ProxyTunnel
}

/** In milliseconds: a first line comes in one piece. */
const headTimeout = 30_000
const longestHead = 16 * 1024

/** Makes a server, which does not listen yet. */
export const relayServer = (state: RelayState): net.Server =>
  net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on("error", () => client.destroy())
    readBeginning(client, (head) => {
      const target = connectTarget(head)
      if (target === undefined || state.hosts.has(target.host)) toWorker(client, head, state)
      else state.tunnel.open(client, target, head)
    })
  })

/** Reads the first line; undefined if it is no CONNECT, or one that the worker refuses. */
const connectTarget = (head: Buffer): ConnectTarget | undefined => {
  const [, host = "", port = ""] =
    /^CONNECT (\[[\da-f:.]+\]|[^\s:[\]]+):(\d{1,5}) HTTP\/1\.[01]\r\n/i.exec(head.toString("latin1")) ?? []
  return host === "" || Number(port) > 65_535
    ? undefined
    : { host: withoutBrackets(host.toLowerCase().replace(/\.$/, "")), port: Number(port) }
}

const method = "CONNECT "

/** Returns whether more is needed to know what a connection is: of a CONNECT, its whole head. */
const isUndecided = (head: Buffer): boolean => {
  const text = head.toString("latin1", 0, method.length)
  if (!text.startsWith(method)) return method.startsWith(text)
  return head.length < longestHead && !head.includes("\r\n\r\n")
}

const readBeginning = (client: net.Socket, use: (head: Buffer) => void): void => {
  let head = Buffer.alloc(0)
  const stop = () => client.destroy()
  const read = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    if (isUndecided(head)) return
    client.pause()
    client.off("data", read)
    client.off("end", stop)
    client.setTimeout(0)
    client.off("timeout", stop)
    use(head)
  }
  client.on("data", read)
  client.once("end", stop)
  client.setTimeout(headTimeout, stop)
}

/** In milliseconds: the daemon replaces a worker that was lost faster. */
const patience = 1_000
const pause = 50

const toWorker = (client: net.Socket, head: Buffer, state: RelayState, waited = 0): void => {
  if (client.destroyed) return
  const path = state.socket()
  if (path === undefined) return answerClient(client, state.isOver() ? runEnded : restarting)
  const worker = net.connect({ path, allowHalfOpen: true })
  const abandon = () => worker.destroy()
  client.once("close", abandon)
  const tryAgain = () => {
    client.off("close", abandon)
    if (state.isOver()) answerClient(client, runEnded)
    else if (waited >= patience) answerClient(client, restarting)
    else after(pause, () => toWorker(client, head, state, waited + pause))
  }
  worker.once("error", tryAgain)
  worker.once("connect", () => {
    worker.off("error", tryAgain)
    worker.write(head)
    join(client, worker)
  })
}

const restarting: OwnAnswer = {
  status: 503,
  code: "restarting",
  message: "the daemon is away",
  fix: "Try again in a second",
  headers: ["retry-after: 1", "x-should-retry: true"]
}
const runEnded: OwnAnswer = {
  status: 403,
  code: "run_ended",
  message: "the run has ended",
  fix: "Start the program again under secrets exec --proxy",
  headers: ["x-should-retry: false"]
}
