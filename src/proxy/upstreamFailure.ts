/** What a client is told of an upstream that did not answer. Messages of libraries may hold anything; their codes do not. */
import { Refusal } from "./refusals.ts"
import { AddressError } from "./upstream.ts"

const texts: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name has no address",
  EAI_AGAIN: "its name cannot be looked up",
  ECONNREFUSED: "it refuses connections",
  ECONNRESET: "it broke the connection off",
  UND_ERR_CONNECT_TIMEOUT: "it does not accept the connection in time",
  UND_ERR_HEADERS_TIMEOUT: "it does not answer in time",
  UND_ERR_BODY_TIMEOUT: "it stopped in the middle of the answer",
  UND_ERR_SOCKET: "it broke the connection off",
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: "the request is not as long as it says",
  UND_ERR_INVALID_ARG: "the request cannot be sent with this value"
}

export const upstreamFailure = (error: Error): Refusal => {
  if (error instanceof AddressError) {
    return new Refusal("address", "the upstream has a private address")
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  const known = Object.hasOwn(texts, code) ? texts[code] : undefined
  return new Refusal("upstream", `the upstream is not available: ${known ?? certificateText(code)}`)
}

const certificateText = (code: string): string =>
  /CERT|ISSUER|SIGNATURE|ALTNAME|SELF_SIGNED|LEAF/.test(code)
    ? `its certificate is not valid (${code})`
    : /^[A-Z0-9_]{1,60}$/.test(code)
      ? code
      : "the connection failed"
