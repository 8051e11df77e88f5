/**
 * Connections that arrive before the server runs wait in order, unread.
 */
import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { PendingConnections } from "../../../src/rpc/transport/PendingConnections.ts"

describe("a connection", () => {
  it("that arrives before the server runs is served later, in order", () => {
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

  it("that arrives after a pause waits until the end", () => {
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
