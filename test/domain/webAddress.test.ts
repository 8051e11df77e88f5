/**
 * An address is accepted exactly if `fetch` would send a request to it.
 */
import { assert, describe, it } from "@effect/vitest"
import { addressProblem } from "../../src/domain/webAddress.ts"

/** Whether fetch would send a request; it goes to a dispatcher, not to the network. */
const wouldSend = async (url: string): Promise<boolean> => {
  let sent = false
  const dispatch = () => {
    sent = true
    throw new Error("nothing is sent")
  }
  const init: RequestInit & { dispatcher: unknown } = { dispatcher: { dispatch } }
  await fetch(url, init as RequestInit).catch(() => undefined)
  return sent
}

describe("addressProblem", () => {
  it("blocks the ports that fetch blocks, and 0", async () => {
    // Every port that fetch blocks is below 11,000; testing the others would take seconds.
    const ports = Array.from({ length: 700 }, (_, at) => at + 1)
    ports.push(
      1718,
      1719,
      1720,
      1721,
      1723,
      2049,
      3659,
      4045,
      4190,
      5060,
      5061,
      5062,
      6000,
      6566,
      6664,
      6665,
      6666,
      6667
    )
    ports.push(6668, 6669, 6670, 6679, 6697, 8080, 10_080, 10_081)
    for (const port of ports) {
      const url = `http://127.0.0.1:${port}/`
      assert.strictEqual(addressProblem(url) === undefined, await wouldSend(url), url)
    }
    assert.isDefined(addressProblem("http://127.0.0.1:0/"))
  })

  it.each([
    "https://example.org/alive?token=x#there",
    "HTTP://EXAMPLE.ORG",
    "http://[::1]:8080/",
    "http://user@example.org/",
    "http://user:hush@example.org/",
    "http://:hush@example.org/",
    "https://example.org:10080/",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://256.1.1.1/",
    "http://example.org:65536/",
    "http://exa mple.org/",
    "https:///",
    "ftp://example.org/",
    "file:///etc/passwd"
  ])("%s is accepted if fetch sends to it", async (url) => {
    assert.strictEqual(addressProblem(url) === undefined, await wouldSend(url))
  })

  it.each([
    " http://example.org/",
    "http://example.org/\n",
    "http://exam\tple.org/",
    "http:\\\\example.org",
    "http:/x"
  ])("rejects %j, which a URL parser would change", (url) => assert.isDefined(addressProblem(url)))

  it("quotes nothing of the address", () => {
    for (const url of ["http://user:hush@example.org/", "hush", "http://hush:10080", "http://hush:10080/hush"]) {
      assert.notInclude(addressProblem(url), "hush")
    }
  })
})
