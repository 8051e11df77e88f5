/**
 * All connections together may buffer a limited number of bytes. At the limit, the
 * connection that buffers the most is closed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { Connections, maxFiles, PendingConnections } from "../../../src/rpc/transport/Connections.ts"

const joined = (connections: Connections) => {
  const connection = new net.Socket()
  connection.on("error", () => undefined)
  return { connection, account: connections.add(connection) }
}

describe("Connections", () => {
  it("closes no connection up to the limit", () => {
    const connections = new Connections(100, "")
    const [a, b] = [joined(connections), joined(connections)]
    a.account.setBuffered(60)
    b.account.setBuffered(40)
    assert.deepStrictEqual([a.connection.destroyed, b.connection.destroyed], [false, false])
  })

  it("closes those that hold the most until the rest fits, not the one that adds the last byte", () => {
    const connections = new Connections(100, "")
    const [small, large, larger] = [joined(connections), joined(connections), joined(connections)]
    small.account.setBuffered(10)
    large.account.setBuffered(40)
    larger.account.setBuffered(50)
    small.account.setBuffered(11)
    assert.deepStrictEqual(
      [small, large, larger].map(({ connection }) => connection.destroyed),
      [false, false, true]
    )
    small.account.setBuffered(60)
    assert.isFalse(large.connection.destroyed)
    large.account.setBuffered(45)
    assert.isTrue(small.connection.destroyed)
    assert.isFalse(large.connection.destroyed)
  })

  it("closes all with an error, so that no unfinished line counts as a request", () => {
    const connections = new Connections(100, "")
    const all = [joined(connections), joined(connections)]
    connections.destroyAll()
    for (const { connection } of all) assert.strictEqual(connection.errored?.message, "the daemon stops")
  })

  it("counts what a connection holds now, not what it once held", () => {
    const connections = new Connections(100, "")
    const [a, b] = [joined(connections), joined(connections)]
    for (let times = 0; times < 10; times += 1) {
      a.account.setBuffered(90)
      a.account.setBuffered(0)
    }
    b.account.setBuffered(100)
    assert.isFalse(b.connection.destroyed)
  })

  it("releases what a closed connection held, also if it is updated afterwards", () => {
    const connections = new Connections(100, "")
    const [gone, here] = [joined(connections), joined(connections)]
    gone.account.setBuffered(90)
    connections.remove(gone.connection)
    gone.account.setBuffered(90)
    here.account.setBuffered(100)
    assert.isFalse(here.connection.destroyed)
    assert.strictEqual(connections.size, 1)
  })
})

describe("a connection", () => {
  it("is served later, in order, if it arrives before the server runs", () => {
    const pending = new PendingConnections()
    const [early, later, last] = [new net.Socket(), new net.Socket(), new net.Socket()]
    pending.accept(early)
    pending.accept(later)
    const served: Array<net.Socket> = []
    pending.serve((connection) => served.push(connection))
    pending.accept(last)
    assert.isTrue(served.length === 3 && served[0] === early && served[1] === later && served[2] === last)
    assert.isFalse(served.some((connection) => connection.destroyed))
  })

  it("waits until the end if it arrives after a pause", () => {
    const pending = new PendingConnections()
    const served: Array<net.Socket> = []
    pending.serve((connection) => served.push(connection))
    pending.pause()
    const connection = new net.Socket()
    pending.accept(connection)
    assert.deepStrictEqual([served.length, connection.destroyed], [0, false])
    pending.end()
    assert.isTrue(connection.destroyed)
  })

  it("is closed only if a thousand wait already", () => {
    const pending = new PendingConnections()
    const all = Array.from({ length: 1025 }, () => new net.Socket())
    all.forEach(pending.accept)
    assert.deepStrictEqual(
      all.map(({ destroyed }) => destroyed),
      all.map((_, at) => at === 1024)
    )
  })
})

describe("the limit of open files", () => {
  it.runIf(process.platform === "linux")(
    "is the same where only the report of Node has it, which asks no network",
    () => {
      const limit = maxFiles()
      const noProc = () => {
        throw new Error("ENOENT")
      }
      assert.strictEqual(maxFiles(noProc), limit)
      assert.strictEqual(Reflect.get(process.report, "excludeNetwork"), true)
    }
  )

  it("is none if the system has none", () => {
    assert.isUndefined(maxFiles(() => "Max open files            unlimited            unlimited            files\n"))
  })
})
