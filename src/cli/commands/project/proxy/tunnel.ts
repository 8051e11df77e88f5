/**
 * Connections of a program to hosts that are not of its run: `exec` makes them as the user, through the proxy that the user
 * has, if any. The token of the run is needed, for every user of the machine reaches a loopback port.
 */
import * as net from "node:net"
import { tokenHash } from "./proxyTokens.ts"
import { bypassOf } from "./interception.ts"
import { withoutBrackets } from "./openedProxy.ts"
import type { Variables } from "./clientVariables.ts"
import { answerClient, join } from "./relaySockets.ts"

/** Where a CONNECT goes. */
export interface ConnectTarget {
  /** In lower case, without a dot at the end. */
  readonly host: string
  readonly port: number
}

export interface ProxyTunnel {
  readonly open: (client: net.Socket, target: ConnectTarget, head: Buffer) => void
}

/** In milliseconds. */
const connectTimeout = 30_000

/** Makes the tunnel; `hash` is that of the token of CONNECT. */
export const makeTunnel = (hash: string, environment: Variables): ProxyTunnel => ({
  open: (client, target, head) => {
    if (!hasToken(head, hash)) return answerClient(client, unauthorized)
    const next = proxyOf(target.host, environment)
    const far = net.connect({ ...(next ?? target), allowHalfOpen: true, noDelay: true })
    client.once("close", () => far.destroy())
    const fail = () => {
      far.destroy()
      answerClient(client, { ...unreachable, message: `cannot connect to ${target.host}:${target.port}` })
    }
    far.once("error", fail)
    far.setTimeout(connectTimeout, fail)
    far.once("connect", () => {
      far.setTimeout(0)
      far.off("error", fail)
      // What follows the head is the client's already.
      const rest = head.subarray(head.indexOf("\r\n\r\n") + 4)
      if (next === undefined) client.write("HTTP/1.1 200 Connection established\r\n\r\n")
      else
        far.write(
          `CONNECT ${inUrl(target.host)}:${target.port} HTTP/1.1\r\nHost: ${inUrl(target.host)}:${target.port}\r\n${next.authorization}\r\n`
        )
      far.write(rest)
      join(client, far)
    })
  }
})

const unauthorized = {
  status: 407,
  code: "no_token",
  message: "the token of the run is needed",
  fix: "Use the address in HTTPS_PROXY as it is",
  headers: ['proxy-authenticate: Basic realm="secrets"']
}
const unreachable = { status: 502, code: "upstream", fix: "Check the address, and the network" }

/** Returns whether the head of a CONNECT has the token, as the password of Basic. */
const hasToken = (head: Buffer, hash: string): boolean => {
  const [, encoded = ""] =
    /\r\nproxy-authorization:[ \t]*basic[ \t]+([\w+/=]+)[ \t]*\r\n/i.exec(head.toString("latin1")) ?? []
  const password = Buffer.from(encoded, "base64")
    .toString("utf8")
    .replace(/^[^:]*:/, "")
  return tokenHash(password) === hash
}

/** Returns the user's own proxy for a host, if it is one of http. */
const proxyOf = (host: string, environment: Variables) => {
  const given =
    environment["https_proxy"] || environment["HTTPS_PROXY"] || environment["all_proxy"] || environment["ALL_PROXY"]
  if (!given || bypassOf(host, environment) !== undefined) return undefined
  const url = URL.parse(given.includes("://") ? given : `http://${given}`)
  if (url === null || url.protocol !== "http:") return undefined
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    host: withoutBrackets(url.hostname),
    port: Number(url.port || "80"),
    authorization: user === ":" ? "" : `Proxy-Authorization: Basic ${Buffer.from(user).toString("base64")}\r\n`
  }
}

const inUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host)
