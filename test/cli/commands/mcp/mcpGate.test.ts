/**
 * Every line of a client is passed on as a message, answered or dropped, as JSON-RPC and the protocol have it.
 */
import { assert, describe, it } from "@effect/vitest"
import { makeMcpGate } from "../../../../src/cli/commands/mcp/mcpGate.ts"

const clientInfo = { name: "test", version: "1" }
const initialize = (protocolVersion: string, elicitation?: object) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion, capabilities: { elicitation }, clientInfo }
  })

/** A gate after a handshake. */
const opened = (protocolVersion = "2025-11-25") => {
  const gate = makeMcpGate()
  gate.read(initialize(protocolVersion))
  gate.written('{"jsonrpc":"2.0","id":1,"result":{}}\n')
  return gate
}

const request = (more: object) => JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", ...more })
const answerTo = (line: string | undefined, gate = opened()) => {
  const { answer, message } = gate.read(line)
  return { passes: message !== undefined, ...(answer !== undefined && { answer: JSON.parse(answer) }) }
}
const codesIn = (answer: any) => [answer].flat().map(({ error, id }: any) => [error.code, id])

describe("a line of a client", () => {
  it.each([
    ["x", -32700, null],
    ["{", -32700, null],
    ["{}}", -32700, null],
    ["\u0000", -32700, null],
    [undefined, -32600, null],
    ["5", -32600, null],
    ['"a"', -32600, null],
    ["null", -32600, null],
    ['{"method":1}', -32600, null],
    ['{"jsonrpc":"2.0","method":1,"params":"bar"}', -32600, null],
    ['{"jsonrpc":"2.0","id":"x"}', -32600, "x"],
    ['{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600, 7],
    ['{"id":7,"method":"ping"}', -32600, 7],
    [request({ id: null }), -32600, null],
    [request({ id: 1.5 }), -32600, null],
    ['{"jsonrpc":"2.0","id":1e400,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}', -32600, null],
    [request({ id: {} }), -32600, null],
    [request({ id: true }), -32600, null],
    [request({ params: "x" }), -32600, 7],
    [request({ params: [] }), -32600, 7],
    [`{"jsonrpc":"2.0","id":7,"method":"ping","params":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`, -32600, null],
    ["[]", -32600, null],
    ["[1]", -32600, null],
    [`[${request({})}]`, -32600, null]
  ])("%.60j is answered with %d and the id %j", (line, code, id) => {
    const { answer, passes } = answerTo(line)
    assert.isFalse(passes)
    assert.deepStrictEqual(codesIn(answer), [[code, id]])
    assert.strictEqual(answer.jsonrpc, "2.0")
  })

  it.each(["", "  ", "\r", '{"jsonrpc":"2.0","result":{}}', '{"jsonrpc":"2.0","id":7,"error":{"_tag":"Defect"}}'])(
    "%j is dropped",
    (line) => {
      assert.deepStrictEqual(opened().read(line), {})
    }
  )

  it.each([
    request({}),
    request({ id: "x" }),
    request({ id: 0, params: { name: "a" } }),
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}',
    '{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}'
  ])("%j is passed on", (line) => {
    assert.deepStrictEqual(opened().read(line), { message: line })
  })

  it("is passed on without members that the protocol does not have", () => {
    const more = { headers: { "mcp-session-id": "x" }, discard: true, spanId: "x", traceId: "y" }
    assert.deepStrictEqual(opened().read(request(more)), { message: request({}) })
    assert.deepStrictEqual(opened().read(request({ params: null })), { message: request({}) })
    const chunk = '{"jsonrpc":"2.0","id":7,"result":{},"chunk":true}'
    assert.deepStrictEqual(opened().read(chunk), { message: '{"jsonrpc":"2.0","id":7,"result":{}}' })
  })
})

describe("the handshake", () => {
  it("comes before all requests but a ping and those that name their version", () => {
    const gate = makeMcpGate()
    assert.deepStrictEqual(codesIn(answerTo(request({}), gate).answer), [[-32600, 7]])
    assert.isTrue(answerTo(request({ id: 2, method: "ping" }), gate).passes)
    const _meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" }
    assert.isTrue(answerTo(request({ id: 3, method: "server/discover", params: { _meta } }), gate).passes)
    assert.isFalse(answerTo(request({ id: 4 }), gate).passes)
    gate.read(initialize("2025-11-25"))
    assert.isTrue(answerTo(request({ id: 5 }), gate).passes)
  })

  it("is answered at once, and the answer of the server dropped", () => {
    const gate = makeMcpGate()
    const { answer, message } = gate.read(initialize("2024-11-05"))
    const { id, result } = JSON.parse(answer ?? "")
    assert.deepStrictEqual([id, result.protocolVersion, result.capabilities], [1, "2024-11-05", { tools: {} }])
    assert.strictEqual(result.serverInfo.name, "agent-secrets")
    assert.strictEqual(gate.waiting(), 0)
    assert.strictEqual(JSON.parse(message ?? "").params.protocolVersion, "2024-11-05")
    assert.strictEqual(gate.written('{"jsonrpc":"2.0","id":1,"result":{}}\n'), "")
    assert.strictEqual(gate.written('{"jsonrpc":"2.0","id":1,"result":{}}\n'), '{"jsonrpc":"2.0","id":1,"result":{}}\n')
  })

  it.each([
    ["2025-11-25", undefined, "2025-11-25", {}],
    ["2024-01-01", {}, "2025-11-25", { elicitation: {} }],
    ["2025-06-18", { form: {} }, "2025-06-18", { elicitation: { form: {} } }],
    // That version has no word for opening an address.
    ["2025-06-18", { form: {}, url: {} }, "2025-11-25", { elicitation: { form: {}, url: {} } }],
    ["2025-03-26", { url: {} }, "2025-03-26", { elicitation: { url: {} } }],
    ["2025-11-25", { form: 5, other: {} }, "2025-11-25", { elicitation: {} }]
  ])("of a client of %s that says %j is of %s", (asked, elicitation, version, capabilities) => {
    const { answer, message } = makeMcpGate().read(initialize(asked, elicitation))
    assert.strictEqual(JSON.parse(answer ?? "").result.protocolVersion, version)
    assert.deepStrictEqual(JSON.parse(message ?? "").params, { protocolVersion: version, capabilities, clientInfo })
  })

  it.each([
    {},
    { protocolVersion: "2025-11-25", clientInfo },
    { protocolVersion: 5, capabilities: {}, clientInfo },
    { protocolVersion: "2025-11-25", capabilities: [], clientInfo },
    { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x" } }
  ])("with %j is refused, and there is none", (params) => {
    const gate = makeMcpGate()
    assert.deepStrictEqual(codesIn(answerTo(request({ method: "initialize", params }), gate).answer), [[-32602, 7]])
    assert.isFalse(answerTo(request({}), gate).passes)
  })
})

describe("an id", () => {
  it("is of one request, until that has its answer or is cancelled", () => {
    const gate = opened()
    assert.isTrue(answerTo(request({}), gate).passes)
    assert.deepStrictEqual(codesIn(answerTo(request({}), gate).answer), [[-32600, 7]])
    assert.isTrue(answerTo(request({ id: "7" }), gate).passes)
    gate.written('{"jsonrpc":"2.0","id":7,"result":{}}\n')
    assert.isTrue(answerTo(request({}), gate).passes)
    gate.read('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}')
    assert.isTrue(answerTo(request({}), gate).passes)
  })
})

describe("a batch", () => {
  it("is of the version 2025-03-26 alone, and each wrong member of it has its answer", () => {
    const gate = opened("2025-03-26")
    const batch = [request({ id: 1 }), "1", request({ id: 1 }), initialize("2025-03-26"), request({ id: null })]
    const { answer, message } = gate.read(`[${batch.join()}]`)
    assert.strictEqual(message, `[${batch[0]}]`)
    assert.deepStrictEqual(codesIn(JSON.parse(answer ?? "")), [
      [-32600, null],
      [-32600, 1],
      [-32600, 1],
      [-32600, null]
    ])
    assert.deepStrictEqual(codesIn(answerTo("[]", gate).answer), [[-32600, null]])
    const told = '[{"jsonrpc":"2.0","method":"notifications/initialized"}]'
    assert.deepStrictEqual(gate.read(told), { message: told })
  })
})

describe("a line of the server", () => {
  it("echoes no long text of the client, and is else passed on as it is", () => {
    const gate = opened()
    const error = {
      code: -32601,
      message: `Method not found: ${"x".repeat(50_000)}`,
      data: { asked: "x".repeat(50_000) }
    }
    const cut = gate.written(`${JSON.stringify({ jsonrpc: "2.0", id: 7, error })}\n`)
    assert.isBelow(cut.length, 1100)
    assert.deepInclude(JSON.parse(cut), { id: 7 })
    const result = `${JSON.stringify({ jsonrpc: "2.0", id: 7, result: "x".repeat(50_000) })}\n`
    assert.strictEqual(gate.written(result), result)
  })
})
