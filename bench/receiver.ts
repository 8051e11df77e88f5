/**
 * A collector of OpenTelemetry for the benchmark, in a process of its own: takes what
 * it is sent and says yes, or with `hangs` never answers. Prints its port, and ends
 * when its standard input does.
 */
import * as http from "node:http"

const hangs = process.argv[2] === "hangs"

const server = http.createServer((request, response) => {
  request.on("error", () => undefined)
  request.resume()
  request.on("end", () => {
    if (!hangs) response.writeHead(200, { "content-type": "application/json" }).end("{}")
  })
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : 0}\n`)
})
process.stdin.on("end", () => process.exit(0)).resume()
