/**
 * What a program that has the placeholder of a route may send to get more than the route gives: the bytes, and
 * the statuses that an answer may have. The upstream must see none of these requests.
 */

export interface Attack {
  readonly what: string
  /** The bytes, with the placeholder in place of TOKEN. */
  readonly bytes: string
  readonly statuses: ReadonlyArray<number>
}

const auth = "Authorization: Bearer TOKEN"
const head = (line: string, ...headers: ReadonlyArray<string>) => `${[line, ...headers].join("\r\n")}\r\n\r\n`
const get = (path: string, ...headers: ReadonlyArray<string>) =>
  head(`GET ${path} HTTP/1.1`, "Host: 127.0.0.1:1", auth, "Connection: close", ...headers)
const post = (...headers: ReadonlyArray<string>) =>
  head("POST / HTTP/1.1", "Host: 127.0.0.1:1", auth, "Connection: close", ...headers)

const hidden = `GET /hidden HTTP/1.1\r\nHost: 127.0.0.1:1\r\n${auth}\r\n\r\n`

const smuggling: ReadonlyArray<readonly [what: string, bytes: string]> = [
  ["a length and chunks", `${post("Content-Length: 6", "Transfer-Encoding: chunked")}0\r\n\r\n${hidden}`],
  ["chunks and a length", `${post("Transfer-Encoding: chunked", "Content-Length: 6")}0\r\n\r\n${hidden}`],
  ["two lengths", `${post("Content-Length: 0", "Content-Length: 5")}12345${hidden}`],
  ["two lengths in one header", `${post("Content-Length: 0, 5")}12345${hidden}`],
  ["an unknown transfer coding", `${post("Transfer-Encoding: xchunked")}0\r\n\r\n${hidden}`],
  ["a transfer coding after chunks", `${post("Transfer-Encoding: chunked, identity")}0\r\n\r\n${hidden}`],
  ["two transfer codings", `${post("Transfer-Encoding: chunked", "Transfer-Encoding: x")}0\r\n\r\n${hidden}`],
  ["a vertical tab before chunks", `${post("Transfer-Encoding: \vchunked")}0\r\n\r\n${hidden}`],
  ["bare line feeds", `GET / HTTP/1.1\nHost: 127.0.0.1:1\n${auth}\n\n`],
  ["a bare line feed after a header", `GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX: y\n${auth}\r\n\r\n`],
  ["a bare carriage return", `GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX: y\r${auth}\r\n\r\n`],
  ["a space before the colon", post("Content-Length : 5")],
  ["a folded header", post("X-A: b", " Content-Length: 5")],
  ["a sign before a length", `${post("Content-Length: +5")}12345`],
  ["a length in hexadecimal", `${post("Content-Length: 0x5")}12345`],
  ["a negative length", post("Content-Length: -5")],
  ["an empty length", post("Content-Length: ")],
  ["a length beyond all numbers", post("Content-Length: 99999999999999999999999")],
  ["a huge chunk", `${post("Transfer-Encoding: chunked")}fffffffffffffffff\r\n`],
  ["a chunk with a sign", `${post("Transfer-Encoding: chunked")}+5\r\n12345\r\n0\r\n\r\n`],
  ["a NUL in a header", post("X-A: b\0c")],
  ["a NUL in a name", post("X\0A: b")],
  ["no name before a colon", post(": b")],
  ["a header without a colon", post("Nothing")]
]

const paths: ReadonlyArray<string> = [
  "/a/../secret",
  "/a/..",
  "/./a",
  "/%2e%2e/a",
  "/a/%2E%2e/b",
  "/a/..%2fb",
  "/a/..%2Fb",
  "/a/..%5cb",
  "/a\\..\\b",
  "/a%5Cb",
  "/a/%252e%252e/b",
  "/a/..;/b",
  "/a/..;x=1/b",
  "//other.test/a",
  "/a//b",
  "/a%00b",
  "/a%0d%0aX: y",
  "/a%zz",
  "*",
  "/a b",
  "/a#b"
]

export const attacks: ReadonlyArray<Attack> = [
  ...smuggling.map(([what, bytes]) => ({ what, bytes, statuses: [400] })),
  ...paths.map((path) => ({ what: `the path ${path}`, bytes: get(path), statuses: [400] })),
  { what: "an absolute address", bytes: get("http://169.254.169.254/latest"), statuses: [405] },
  { what: "an absolute address of the upstream", bytes: get("https://api.test/"), statuses: [405] },
  {
    what: "a foreign Host",
    bytes: head("GET / HTTP/1.1", "Host: evil.test", auth, "Connection: close"),
    statuses: [421]
  },
  {
    what: "the Host of metadata",
    bytes: head("GET / HTTP/1.1", "Host: 169.254.169.254", auth, "Connection: close"),
    statuses: [421]
  },
  {
    what: "a Host with a user",
    bytes: head("GET / HTTP/1.1", "Host: 127.0.0.1:1@evil.test", auth, "Connection: close"),
    statuses: [421]
  },
  { what: "two Hosts", bytes: get("/", "Host: evil.test"), statuses: [400] },
  { what: "no Host", bytes: head("GET / HTTP/1.1", auth, "Connection: close"), statuses: [400] },
  { what: "HTTP/1.0", bytes: head("GET / HTTP/1.0", "Host: 127.0.0.1:1", auth), statuses: [505] },
  {
    what: "an upgrade to HTTP/2",
    bytes: get("/")
      .replace("close", "Upgrade, HTTP2-Settings")
      .replace("\r\n\r\n", "\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
    statuses: [403]
  },
  {
    what: "a WebSocket that the route does not take",
    bytes: get("/").replace("close", "Upgrade").replace("\r\n\r\n", "\r\nUpgrade: websocket\r\n\r\n"),
    statuses: [403]
  },
  { what: "the preface of HTTP/2", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", statuses: [400, 505] },
  { what: "TRACE", bytes: get("/").replace("GET", "TRACE"), statuses: [403] },
  { what: "a web page", bytes: get("/", "Origin: https://evil.test"), statuses: [403] },
  {
    what: "a web page without an origin",
    bytes: get("/", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
    statuses: [403]
  },
  {
    what: "a preflight",
    bytes: head(
      "OPTIONS / HTTP/1.1",
      "Host: 127.0.0.1:1",
      "Origin: null",
      "Access-Control-Request-Method: POST",
      "Connection: close"
    ),
    statuses: [403]
  },
  { what: "no placeholder", bytes: head("GET / HTTP/1.1", "Host: 127.0.0.1:1", "Connection: close"), statuses: [403] },
  {
    what: "CONNECT to metadata",
    bytes: head("CONNECT 169.254.169.254:80 HTTP/1.1", "Host: 169.254.169.254:80"),
    statuses: [407]
  },
  {
    what: "CONNECT to a service of this machine",
    bytes: head("CONNECT 127.0.0.1:22 HTTP/1.1", "Host: 127.0.0.1:22"),
    statuses: [407]
  },
  { what: "bytes of TLS", bytes: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", statuses: [400] },
  { what: "headers without an end", bytes: get("/", `X-Long: ${"x".repeat(70_000)}`), statuses: [431] }
]

/** CONNECT with the token of a run, to what is not of the run. */
export const tunnelTargets = [
  "169.254.169.254:443",
  "127.0.0.1:22",
  "[::1]:443",
  "metadata.google.internal:443",
  "api.test:22",
  "api.test.:443",
  "api.test",
  "sub.api.test:443",
  "API.TEST@evil.test:443"
]
