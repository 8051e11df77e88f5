/**
 * An OTLP collector in a process of its own, for the sink benchmark. It accepts every request,
 * or never answers if started with `hangs`. Prints its port; ends when its standard input ends.
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
