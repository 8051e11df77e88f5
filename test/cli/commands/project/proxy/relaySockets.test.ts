/**
 * The end of two joined sockets.
 */
import { assert, it } from "@effect/vitest"
import { once } from "node:events"
import * as net from "node:net"
import { join } from "../../../../../src/cli/commands/project/proxy/relaySockets.ts"

it("a client that has its whole answer is closed when the other side breaks off", async () => {
  const server = net.createServer({ allowHalfOpen: true })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const peer = net.connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1")
  const chunks: Array<Buffer> = []
  peer.on("data", (chunk: Buffer) => chunks.push(chunk))
  const ended = once(peer, "end")
  const [client]: Array<net.Socket> = await once(server, "connection")
  if (client === undefined) throw new Error("there is a connection")
  const far = new net.Socket()
  const failures: Array<string> = []
  client.on("error", ({ message }) => failures.push(message))
  join(client, far)
  const closed = once(client, "close")
  client.write("answer", () => {
    client.end()
    process.nextTick(() => far.destroy(new Error("cut")))
  })
  await Promise.all([closed, ended])
  server.close()
  assert.deepStrictEqual([Buffer.concat(chunks).toString(), failures], ["answer", []])
})
