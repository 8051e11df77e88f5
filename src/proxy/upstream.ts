/**
 * The connections of one route of one run to its upstream. They are never shared. Each address is checked at
 * the connect itself, so a name server that changes its answer changes nothing; and no byte is
 * written before the server has proved its name.
 */
import * as dns from "node:dns"
import { isIP, type LookupFunction, type Socket } from "node:net"
import * as tls from "node:tls"
import { buildConnector, Pool } from "undici"
import type { OpenRoute } from "../domain/proxyMessages.ts"
import { memoize } from "../domain/memoize.ts"
import { upstreamText } from "../domain/ProxyRoute.ts"
import { isPrivateAddress } from "./privateAddress.ts"

/** The upstream is, or resolves to, an address that the route does not allow. */
export class AddressError extends Error {
  override readonly name = "AddressError"
}

export type Resolve = typeof dns.lookup

export interface UpstreamPool {
  readonly pool: Pool
  /** Whether a connection is breaking off at this moment: what ends with it is not complete. */
  readonly isBreaking: () => boolean
}

/** Trusts further roots. Reading all of them takes as long as many requests. */
const contextWith = memoize(16, (pem: string) => tls.createSecureContext({ ca: [...tls.rootCertificates, pem] }))

/** Returns the roots of the system: of SSL_CERT_FILE, or what the system installs. Old versions of Node have none. */
const systemRoots = (): string => (knownRoots ??= tls.getCACertificates?.("system").join("\n") ?? "")
let knownRoots: string | undefined

/** How Node reports a certificate whose issuer it does not know. */
const unknownIssuer =
  /^(UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/

const hasUnknownIssuer = (error: Error): boolean => unknownIssuer.test("code" in error ? String(error.code) : "")

const connectTimeout = 10_000
const keptFor = 30_000

export const connectUpstream = (route: OpenRoute, resolve: Resolve = dns.lookup): UpstreamPool => {
  let isBreaking = false
  const connector = (pem: string | undefined) =>
    buildConnector({
      allowH2: false,
      timeout: connectTimeout,
      rejectUnauthorized: true,
      lookup: checkedLookup(route.private, resolve),
      ...(pem !== undefined && { secureContext: contextWith(pem) })
    })
  const connect = connector(route.caPem)
  /** Reads the roots of the system where they are needed: that takes long. */
  const connectAnyhow: typeof connect = (options, callback) =>
    connect(options, (error, socket) => {
      const roots = error !== null && hasUnknownIssuer(error) ? systemRoots() : ""
      if (error === null) callback(null, socket)
      else if (roots === "") callback(error, null)
      else connector(`${route.caPem ?? ""}\n${roots}`)(options, callback)
    })
  const watch = (socket: Socket) =>
    socket.prependListener("error", () => {
      isBreaking = true
      queueMicrotask(() => void (isBreaking = false))
    })
  const pool = new Pool(upstreamText({ ...route.upstream, path: "" }), {
    connections: route.limits.inFlight,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: keptFor,
    keepAliveMaxTimeout: keptFor,
    headersTimeout: route.limits.headerTimeout,
    bodyTimeout: route.limits.idle,
    maxHeaderSize: 64 * 1024,
    connect: (options, callback) => {
      const literal = options.hostname.replace(/^\[|\]$/g, "")
      if (isIP(literal) !== 0 && !route.private && isPrivateAddress(literal)) {
        return callback(new AddressError("a private address"), null)
      }
      connectAnyhow(options, (error, socket) => {
        if (error !== null) return callback(error, null)
        if (!("authorized" in socket) || socket.authorized !== true) {
          socket.destroy()
          return callback(new Error("the certificate of the upstream is not valid"), null)
        }
        watch(socket)
        callback(null, socket)
      })
    }
  })
  return { pool, isBreaking: () => isBreaking }
}

/** Makes a look-up that fails if any address of the name is private. */
const checkedLookup =
  (isPrivate: boolean, resolve: Resolve): LookupFunction =>
  (hostname, options, callback) =>
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null) return callback(error, "")
      if (first === undefined) return callback(new Error(`${hostname} has no address`), "")
      if (!isPrivate && addresses.some(({ address }) => isPrivateAddress(address))) {
        return callback(new AddressError("a private address"), "")
      }
      if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
