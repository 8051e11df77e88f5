/**
 * Decodes requests and encodes replies: what a request is, how its id is echoed, and how
 * everything else is refused under -32700. Source of the expectations: protocol
 * specification, section 3 and the transcript 15.2. No line, however odd, throws.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { stringify } from "../../../src/domain/goText.ts"
import { errorCodes } from "../../../src/rpc/protocol/errorTags.ts"
import * as Protocol from "../../../src/rpc/protocol/Protocol.ts"

const { decodeRequest } = Protocol
const read = (line: string) => Result.getOrThrow(decodeRequest(line))
const refusal = (line: string) => Result.getOrThrow(Result.flip(decodeRequest(line)))
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
// JSON.parse of Node 24 may read a name of one escaped character as "\\" once it has seen an object with that name.
const Json = Arbitrary.filter(Arbitrary.schema(Schema.Json), (value) => !/"\\\\":/.test(JSON.stringify(value)))
const notJson = "parse error: the line is not JSON"
const cannot = "parse error: json: cannot unmarshal"

describe("decodeRequest", () => {
  it("reads method, params and id", () => {
    const line = `{"jsonrpc":"2.0","method":"secrets.lease","params":{"secret_name":"db"},"id":7}`
    assert.deepStrictEqual(read(line), { method: "secrets.lease", params: { secret_name: "db" }, id: "7" })
  })

  it.each([
    ["null", ""],
    ["{}", ""],
    [`{"id":null}`, ""],
    [`{"method":null}`, ""],
    [`{"method":"m","jsonrpc":null}`, "m"],
    [`{"method":"m","jsonrpc":"1.0"}`, "m"],
    [` {"method":"m" } `, "m"],
    [`{"method":"m","more":[1]}`, "m"]
  ])("reads %s as a request without id", (line, method) => {
    assert.deepStrictEqual(read(line), { method, params: undefined, id: "null" })
  })

  it("matches names in any letter case, and uses the last of several", () => {
    assert.deepStrictEqual(read(`{"METHOD":"m","Params":[],"ID":"x"}`), { method: "m", params: [], id: `"x"` })
    assert.strictEqual(read(`{"method":"first","method":"last","id":1,"Id":2}`).method, "last")
    assert.strictEqual(read(`{"method":"first","method":"last","id":1,"Id":2}`).id, "2")
  })

  it.each([
    ["1", "1"],
    ["1.0", "1"],
    ["1e2", "100"],
    ["1e21", "1e+21"],
    ["0.0000001", "1e-7"],
    ["-0", "-0"],
    ["[-0]", "[-0]"],
    ["9007199254740993", "9007199254740992"],
    ["true", "true"],
    ["[]", "[]"],
    ["{}", "{}"],
    [`""`, `""`],
    [`"<&>"`, String.raw`"\u003c\u0026\u003e"`],
    [String.raw`"\u0041\/"`, `"A/"`],
    [String.raw`"\ud800"`, `"\ufffd"`],
    [String.raw`{"\udc00":["\ud800x"]}`, `{"\ufffd":["\ufffdx"]}`],
    [`{"b":1,"a":{"10":1,"9":2}}`, `{"a":{"10":1,"9":2},"b":1}`],
    [`{"2":"","10":""}`, `{"10":"","2":""}`],
    [`{"\u{1f600}":1,"\uff5e":2}`, `{"\uff5e":2,"\u{1f600}":1}`],
    [`{"__proto__":1}`, `{"__proto__":1}`]
  ])("echoes the id %s as %s", (id, echoed) => {
    assert.strictEqual(read(`{"id":${id}}`).id, echoed)
  })

  /** Half of a surrogate pair comes back as U+FFFD. */
  const Id = Arbitrary.filter(Json, (id) => !/\\ud[89a-f]/.test(JSON.stringify(id)))

  it.prop("echoes an id with the meaning of the one that was sent", [Id], ([id]) => {
    assert.deepStrictEqual(JSON.parse(read(`{"id":${JSON.stringify(id)}}`).id), JSON.parse(JSON.stringify(id)))
  })

  it.each([
    ["", notJson],
    [`{"a":`, notJson],
    ["garbage", notJson],
    [`{"id":1} x`, notJson],
    ["[]", `${cannot} array into Go value of type types.RPCRequest`],
    [`[{"method":"m","id":1}]`, `${cannot} array into Go value of type types.RPCRequest`],
    ["5", `${cannot} number into Go value of type types.RPCRequest`],
    [`""`, `${cannot} string into Go value of type types.RPCRequest`],
    ["true", `${cannot} bool into Go value of type types.RPCRequest`],
    [`{"method":5,"id":1}`, `${cannot} number into Go struct field RPCRequest.method of type string`],
    [`{"method":{},"id":1}`, `${cannot} object into Go struct field RPCRequest.method of type string`],
    [`{"METHOD":[],"id":1}`, `${cannot} array into Go struct field RPCRequest.method of type string`],
    [`{"jsonrpc":2,"id":1}`, `${cannot} number into Go struct field RPCRequest.jsonrpc of type string`],
    [`{"jsonrpc":false,"id":1}`, `${cannot} bool into Go struct field RPCRequest.jsonrpc of type string`],
    [`{"id":1e999}`, "parse error: a number in id is out of range"],
    [`{"params":{"a":[-1e400]}}`, "parse error: a number in params is out of range"]
  ])("refuses %s", (line, message) => {
    const error = refusal(line)
    assert.strictEqual(errorCodes[error.tag], -32700)
    assert.strictEqual(error.message, message)
  })

  it("accepts nesting a thousand deep and refuses one more, in params and in id", () => {
    for (const member of ["params", "id"]) {
      assert.isTrue(Result.isSuccess(decodeRequest(`{"method":"m","${member}":${nested(1_000)}}`)))
      const { message } = refusal(`{"method":"m","${member}":${nested(1_001)}}`)
      assert.strictEqual(message, `parse error: ${member} is nested too deeply`)
    }
    const objects = `${`{"a":`.repeat(1_001)}1${"}".repeat(1_001)}`
    assert.strictEqual(refusal(`{"params":${objects}}`).message, "parse error: params is nested too deeply")
  })

  it.each([
    ["unclosed", "[".repeat(100_000)],
    ["in the id", `{"id":${nested(100_000)}}`],
    ["in the params", `{"params":${nested(100_000)}}`],
    ["beside a number too large in the params", `{"params":[${nested(100_000)},1e999]}`],
    ["beside a number too large in the id", `{"id":1e999,"x":${nested(100_000)}}`]
  ])("refuses nesting a hundred thousand deep, %s", (_, line) => {
    assert.strictEqual(errorCodes[refusal(line).tag], -32700)
  })

  it("ignores nesting in an unknown member, as deep as the predecessor did", () => {
    assert.strictEqual(read(`{"method":"m","x":${nested(9_999)}}`).method, "m")
    const deeper = decodeRequest(`{"method":"m","x":${nested(10_000)}}`)
    assert.isTrue(Result.isFailure(deeper))
  })

  it.each([
    ["strings", '""'.repeat(60_000)],
    ["containers side by side", "[]".repeat(60_000)],
    ["containers in one another", `[${`${nested(400)},`.repeat(200)}1]`]
  ])("refuses more %s than any request has, before it walks through them", (_, text) => {
    assert.strictEqual(refusal(text).message, "parse error: the line holds more than 1000 values")
  })

  it("refuses a bracket too many, whatever follows", () => {
    const text = `]${",".repeat(20_000)}`
    assert.strictEqual(refusal(text).message, notJson)
  })

  it.prop("counts a string full of quotation marks and backslashes as one value", [Schema.String], ([text]) => {
    const odd = `${text}\\"\\\\",${",".repeat(10_000)}`
    assert.deepStrictEqual(read(`{"params":[${JSON.stringify(odd)}]}`).params, [odd])
  })

  it("refuses more values than any request has, but not a value that is full of commas", () => {
    const many = decodeRequest(`{"method":"m","params":[${"1,".repeat(10_001)}1]}`)
    assert.strictEqual(
      Result.isFailure(many) ? many.failure.message : "",
      "parse error: the line holds more than 1000 values"
    )
    const text = `${",[{".repeat(100_000)}\\"`
    assert.deepStrictEqual(read(`{"method":"m","params":{"value":${JSON.stringify(text)}}}`).params, { value: text })
  })

  it.prop("decodes any text as a request or as one error", [Schema.String, Schema.Json], ([text, value]) => {
    for (const line of [text, JSON.stringify(value), `{"id":${text}}`, `{"params":${JSON.stringify(value)}}`]) {
      const decoded = decodeRequest(line)
      if (Result.isSuccess(decoded)) assert.isString(decoded.success.method)
      else
        assert.deepStrictEqual(
          [errorCodes[decoded.failure.tag], decoded.failure.message.slice(0, 13)],
          [-32700, "parse error: "]
        )
    }
  })
})

describe("replies", () => {
  it("hold the version, the result and the id in this order, and end in a line feed", () => {
    assert.strictEqual(
      Protocol.encodeResult("7", { value: "a<b", gone: undefined }),
      `${String.raw`{"jsonrpc":"2.0","result":{"value":"a\u003cb"},"id":7}`}\n`
    )
  })

  it("hold the code, the message and the tag of an error, and nothing else of it", () => {
    const error = new Protocol.RpcError({ tag: "MethodNotFound", message: `method "<>" not found` })
    assert.strictEqual(
      Protocol.encodeError(Protocol.noId, error),
      `${String.raw`{"jsonrpc":"2.0","error":{"code":-32601,"message":"method \"\u003c\u003e\" not found","data":{"tag":"MethodNotFound"}},"id":null}`}\n`
    )
  })

  it("name the limit of a line that was too long", () => {
    assert.strictEqual(
      Protocol.encodeError(Protocol.noId, Protocol.lineTooLong),
      `{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error: the line is longer than 8388608 bytes","data":{"tag":"ParseError"}},"id":null}\n`
    )
  })

  it.prop("are one line of JSON, whatever they hold", [Json, Arbitrary.schema(Schema.String)], ([result, text]) => {
    const lines = [
      Protocol.encodeResult(stringify(text), { result, text }),
      Protocol.encodeError(stringify(text), new Protocol.RpcError({ tag: "StoreFull", message: text }))
    ]
    for (const line of lines) {
      assert.strictEqual(line.indexOf("\n"), line.length - 1)
      assert.strictEqual(JSON.parse(line).id, text)
    }
    assert.deepStrictEqual(JSON.parse(lines[0] ?? "").result, JSON.parse(JSON.stringify({ result, text })))
    assert.deepStrictEqual(JSON.parse(lines[1] ?? "").error, {
      code: -32603,
      message: text,
      data: { tag: "StoreFull" }
    })
  })
})
