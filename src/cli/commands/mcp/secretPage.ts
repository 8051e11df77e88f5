/**
 * A page on loopback where a person stores a secret that a client asked for: one use, ten
 * minutes, gone with this process.
 *
 * The address gives nothing away: who has it can at worst store a wrong value, which the audit log
 * shows. A page of another site can neither read it nor post to it, and no script runs in it.
 */
import * as Effect from "effect/Effect"
import { randomBytes, randomInt, timingSafeEqual } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export interface PageRequest {
  readonly name: string
  readonly client: string
  readonly why: string
  /** Stores the value; returns why it was not stored. */
  readonly store: (value: string) => Effect.Effect<string | undefined>
}

export interface SecretPage {
  readonly url: string
  /** Four digits that the page and the message of the client both show. */
  readonly code: string
  readonly isOpen: () => boolean
  readonly close: () => void
}

const lifetime = "10 minutes"

/** The most wrong paths before the page is closed. */
const maxWrongPaths = 5

/** A value of 1 MiB, as a form encodes it at worst, and the form. */
const maxBody = 3 * 1024 * 1024 + 1024

/** Opens the page, and closes it when its time is over. */
export const openPage = (request: PageRequest): Effect.Effect<SecretPage, Error> =>
  Effect.tap(listen(request), ({ close }) =>
    Effect.forkDetach(Effect.andThen(Effect.sleep(lifetime), Effect.sync(close)), { startImmediately: true })
  )

const listen = (request: PageRequest): Effect.Effect<SecretPage, Error> =>
  Effect.callback<SecretPage, Error>((resume) => {
    const token = randomBytes(16).toString("base64url")
    const code = String(randomInt(10_000)).padStart(4, "0")
    let [wrongPaths, isUsed, origin] = [0, false, ""]
    const close = () => {
      server.close()
      server.closeAllConnections()
    }
    const answer = (response: http.ServerResponse, status: number, text: string, isLast = false) => {
      response.writeHead(status, { ...headers, connection: "close" })
      response.end(text, () => isLast && close())
    }
    const take = async (asked: http.IncomingMessage, response: http.ServerResponse) => {
      const body = await bodyOf(asked)
      if (body === undefined) return answer(response, 413, pageOf("The value is too long."))
      const value = new URLSearchParams(body).get("value") ?? ""
      if (value === "") return answer(response, 400, formOf(request, code, "The value is empty."))
      if (isUsed) return answer(response, 410, pageOf("This page was used already."))
      isUsed = true
      const problem = await Effect.runPromise(request.store(value))
      if (problem === undefined) return answer(response, 200, pageOf("Stored. You can close this page."), true)
      isUsed = false
      answer(response, 409, formOf(request, code, `It was not stored: ${problem}.`))
    }
    const server = http.createServer({ maxHeaderSize: 16 * 1024 }, (asked, response) => {
      const refusal = refusalOf(asked, origin)
      if (refusal !== undefined) return answer(response, refusal, pageOf("Not here."))
      if (!isSameText(asked.url ?? "", `/r/${token}`)) {
        wrongPaths += 1
        return answer(response, 404, pageOf("Not here."), wrongPaths >= maxWrongPaths)
      }
      if (asked.method === "GET") return answer(response, 200, formOf(request, code))
      if (asked.method === "POST") return void take(asked, response)
      answer(response, 405, pageOf("Not here."))
    })
    server.maxConnections = 16
    server.headersTimeout = 10_000
    server.requestTimeout = 60_000
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen(0, "127.0.0.1", () => {
      origin = `http://127.0.0.1:${portOf(server)}`
      resume(Effect.succeed({ url: `${origin}/r/${token}`, code, isOpen: () => server.listening, close }))
    })
  })

const portOf = (server: http.Server): number => {
  const address: AddressInfo | string | null = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/**
 * Returns the status for a request that another site may have made: a name that leads to us (rebinding), a form elsewhere.
 * Under `no-referrer`, a browser sends the origin null with our own form, and names the site in another header.
 */
const refusalOf = ({ headers }: http.IncomingMessage, origin: string): number | undefined => {
  const site = headers["sec-fetch-site"]
  if (headers.host !== origin.slice("http://".length)) return 403
  if (site !== undefined && site !== "none" && site !== "same-origin") return 403
  const isOwn = headers.origin === undefined || headers.origin === origin
  return isOwn || (headers.origin === "null" && site === "same-origin") ? undefined : 403
}

const isSameText = (given: string, expected: string): boolean => {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Returns the body; undefined if it is too long. */
const bodyOf = async (request: http.IncomingMessage): Promise<string | undefined> => {
  const chunks: Array<Buffer> = []
  let length = 0
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) continue
      length += chunk.length
      if (length > maxBody) return undefined
      chunks.push(chunk)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString("utf8")
}

const headers = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff"
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#39;"]
])

const inHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (letter) => escapes.get(letter) ?? "").replaceAll(/\p{C}/gu, "\ufffd")

const pageOf = (content: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>agent-secrets</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:3em auto;padding:0 1em}input,button{font:inherit;padding:.4em}input{width:100%;box-sizing:border-box}</style>
</head><body>${content}</body></html>
`

const formOf = ({ client, name, why }: PageRequest, code: string, problem = ""): string =>
  pageOf(`<h1>${inHtml(name)}</h1>
<p><b>${inHtml(client)}</b> asks you to store this secret: ${inHtml(why)}</p>
<p>Go on only if your agent showed the code <b>${code}</b>. The agent does not see what you enter.</p>
<p role="alert">${inHtml(problem)}</p>
<form method="post"><p><label>Value<br><input type="password" name="value" autocomplete="off" autofocus required></label></p>
<p><button>Store it</button></p></form>`)
