/**
 * Parameters are strings by name, and a missing one is the empty string. Another type is
 * refused under -32603 in the predecessor's words (protocol specification, section 4 and
 * the transcript 15.2). A refusal never holds a value.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { errorCodes } from "../../../src/rpc/protocol/errorTags.ts"
import { decodeRequest } from "../../../src/rpc/protocol/Protocol.ts"
import { required, readParams } from "../../../src/rpc/server/params.ts"

const addParams = readParams("AddParams", { name: "string", value: "string", rotate_via: "string" })
/** The parameters as a handler gets them. */
const sent = (params: unknown): unknown =>
  Result.getOrThrow(decodeRequest(JSON.stringify({ method: "secrets.add", params }))).params
const unreadable = "invalid parameters: failed to unmarshal params: json: cannot unmarshal"

describe("readParams", () => {
  it.effect.each<readonly [given: unknown, read: { name?: string; value?: string; rotate_via?: string }]>([
    [{}, {}],
    [
      { name: "n", value: "v", rotate_via: "c" },
      { name: "n", value: "v", rotate_via: "c" }
    ],
    [{ name: null, value: "v" }, { value: "v" }],
    [
      { NAME: "n", Rotate_Via: "c" },
      { name: "n", rotate_via: "c" }
    ],
    [{ name: "first", Name: "last" }, { name: "last" }],
    [{ name: " n\n", other: 5 }, { name: " n\n" }],
    [{ value: "\ud800x\ude00" }, { value: "\ufffdx\ufffd" }],
    [{ value: "😀\u0000<&>" }, { value: "😀\u0000<&>" }],
    [JSON.parse(`{"__proto__":"p","name":"n"}`), { name: "n" }]
  ])("reads %j", ([given, read]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* addParams(sent(given)), { name: "", value: "", rotate_via: "", ...read })
    })
  )

  it.effect("reads booleans and finite numbers, and defaults them", () =>
    Effect.gen(function* () {
      const read = readParams("P", { flag: "bool", after: "number" })
      assert.deepStrictEqual(yield* read({}), { flag: false, after: 0 })
      assert.deepStrictEqual(yield* read({ flag: true, after: 1.5 }), { flag: true, after: 1.5 })
      for (const [given, reason] of [
        [{ flag: 1 }, "number into Go struct field P.flag of type bool"],
        [{ after: "1" }, "string into Go struct field P.after of type number"],
        [{ after: Infinity }, "number into Go struct field P.after of type number"]
      ] as const) {
        assert.strictEqual((yield* Effect.flip(read(given))).message, `${unreadable} ${reason}`)
      }
    })
  )

  it.effect.each<readonly [given: unknown, message: string]>([
    [undefined, "invalid parameters: parameters are required"],
    [null, "invalid parameters: parameters are required"],
    [[], `${unreadable} array into Go value of type daemon.AddParams`],
    ["text", `${unreadable} string into Go value of type daemon.AddParams`],
    [5, `${unreadable} number into Go value of type daemon.AddParams`],
    [false, `${unreadable} bool into Go value of type daemon.AddParams`],
    [{ name: 5, value: "v" }, `${unreadable} number into Go struct field AddParams.name of type string`],
    [{ name: "n", VALUE: ["v"] }, `${unreadable} array into Go struct field AddParams.value of type string`],
    [{ rotate_via: { a: 1 } }, `${unreadable} object into Go struct field AddParams.rotate_via of type string`],
    [{ name: true }, `${unreadable} bool into Go struct field AddParams.name of type string`],
    [{ other: 1, value: 2, name: 3 }, `${unreadable} number into Go struct field AddParams.value of type string`]
  ])("refuses %j", ([given, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(addParams(sent(given)))
      assert.deepStrictEqual([error.tag, errorCodes[error.tag]], ["InvalidParams", -32603])
      assert.strictEqual(error.message, message)
    })
  )

  const Value = Schema.Union([Schema.String, Schema.Null, Schema.Int, Schema.Array(Schema.String)])

  it.effect.prop(
    "returns the strings as they were sent, or refuses without quoting them",
    [Schema.Struct({ name: Value, value: Value, rotate_via: Value })],
    ([given]) =>
      Effect.gen(function* () {
        const texts = Object.entries(given).flatMap(([name, member]) =>
          member === null || typeof member === "string" ? [[name, (member ?? "").toWellFormed()]] : []
        )
        if (texts.length === 3) {
          assert.deepStrictEqual<object>(yield* addParams(sent(given)), Object.fromEntries(texts))
        } else {
          const { message } = yield* Effect.flip(addParams(sent(given)))
          assert.match(message, /unmarshal (number|array) into Go struct field AddParams\.(name|value|rotate_via) of/)
        }
      })
  )
})

describe("required", () => {
  it.effect("refuses the empty string by its name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(required("", "secret name"))
      assert.deepInclude(error, { tag: "MissingSecretName", message: "secret name is required" })
      assert.strictEqual(errorCodes.MissingSecretName, -32603)
    })
  )

  it.effect("accepts a name as long as the limit in bytes, and refuses one byte more", () =>
    Effect.gen(function* () {
      const longest = "é".repeat(8 * 1024)
      assert.isUndefined(yield* required(longest, "secret name"))
      const error = yield* Effect.flip(required(`${longest}x`, "secret name"))
      assert.deepInclude(error, { _tag: "TooLong", message: "secret name is longer than 16384 bytes" })
      assert.isUndefined(yield* required("x".repeat(32), "thing", 32))
      assert.strictEqual(
        (yield* Effect.flip(required("x".repeat(33), "thing", 32))).message,
        "thing is longer than 32 bytes"
      )
    })
  )

  it.effect("accepts a blank as a name", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* required(" ", "secret name"))
    })
  )
})
