/**
 * The plain text of the store is the predecessor's to the letter (protocol
 * specification, 9.2). Unknown members survive, and no error holds a value.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  byName,
  decodeStore,
  emptyStore,
  encodeStore,
  type StoreDocument,
  type StoredSecret
} from "../../../src/daemon/secrets/storeDocument.ts"
import { fromNanos, zeroTimestamp } from "../../../src/domain/Timestamp.ts"

const read = (text: string) => Result.getOrThrow(decodeStore(text))
const refusal = (text: string) => Result.getOrThrow(Result.flip(decodeStore(text)))

/** A document as the predecessor writes it. */
const text = String.raw`{
  "version": 1,
  "secrets": {
    "aws": {
      "name": "aws",
      "created_at": "2026-11-22T00:30:37.780956535-08:00",
      "updated_at": "2026-11-22T00:30:37.790625577-08:00",
      "rotate_via": "echo hi; echo err \u003e\u00262",
      "last_rotated": "2026-11-22T00:30:37.790625577-08:00",
      "value": "a\u003cb\u003e\u0026c"
    },
    "mail": {
      "name": "mail",
      "created_at": "2026-11-22T00:30:38Z",
      "updated_at": "2026-11-22T00:30:38Z",
      "last_rotated": "0001-01-01T00:00:00Z",
      "value": "two\nlines\u0008"
    }
  }
}`

const secret = (name: string, more: Partial<StoredSecret> = {}): StoredSecret => ({
  name,
  value: Redacted.make(`value of ${name}`),
  createdAt: zeroTimestamp,
  updatedAt: zeroTimestamp,
  rotateVia: "",
  rotateStdout: false,
  lastRotated: zeroTimestamp,
  description: "",
  foreign: {},
  ...more
})
const store = (secrets: ReadonlyArray<StoredSecret>, foreign: StoreDocument["foreign"] = {}): StoreDocument => ({
  secrets: new Map(secrets.map((one) => [one.name, one])),
  foreign
})

/** A document in comparable form. */
const plain = (document: StoreDocument) => ({
  secrets: [...document.secrets.values()]
    .toSorted(byName)
    .map((one) => ({ ...one, value: Redacted.value(one.value), foreign: JSON.stringify(one.foreign) })),
  keys: [...document.secrets.keys()].toSorted(),
  foreign: JSON.stringify(document.foreign)
})

describe("encode", () => {
  it("writes the predecessor's text byte for byte", () => {
    assert.strictEqual(encodeStore(read(text)), text)
  })

  it("writes the empty store as four lines, without a final line feed", () => {
    assert.strictEqual(encodeStore(emptyStore), `{\n  "version": 1,\n  "secrets": {}\n}`)
  })

  it("sorts names by their UTF-8 bytes, numbers among them", () => {
    const names = ["\u{1f600}", "\uff5e", "é", "b", "aa", "a", "B", "9", "10", "", "__proto__"]
    const written = encodeStore(store(names.map((name) => secret(name)))).matchAll(/^ {4}"(.*)": \{$/gm)
    const sorted = ["", "10", "9", "B", "__proto__", "a", "aa", "b", "é", "\uff5e", "\u{1f600}"]
    assert.deepStrictEqual(
      [...written].map((found) => found[1]),
      sorted
    )
  })

  it("writes unknown members after its own", () => {
    const added = text
      .replace(
        `c"\n    },`,
        `c",\n      "tags": [\n        "a",\n        {\n          "b": "\\u003c"\n        }\n      ]\n    },`
      )
      .replace(/\}\n\}$/, `},\n  "theirs": {\n    "deep": [],\n    "\\u0026": {}\n  }\n}`)
    assert.include(added, `"tags"`)
    assert.include(added, `"theirs"`)
    assert.strictEqual(encodeStore(read(added)), added)
  })

  it("writes a description last, and leaves one that is no text to the program that wrote it", () => {
    const described = text.replace(`c"\n    },`, `c",\n      "tags": [],\n      "description": "for\\nbackups"\n    },`)
    assert.strictEqual(read(described).secrets.get("aws")?.description, "for\nbackups")
    assert.strictEqual(encodeStore(read(described)), described)
    const foreign = described.replace(`"for\\nbackups"`, `{}`)
    assert.strictEqual(read(foreign).secrets.get("aws")?.description, "")
    assert.strictEqual(encodeStore(read(foreign)), foreign)
  })

  // JSON.parse of Node 24 may read a name of one escaped character as "\\" once it has seen an object with that name.
  const Name = Schema.String.check(Schema.makeFilter((name) => name !== "\\"))
  const Foreign = Schema.Record(
    Name,
    Schema.Union([Schema.String, Schema.Finite, Schema.Null, Schema.Array(Schema.Record(Name, Schema.Boolean))])
  )
  const Nanos = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: 4_000_000_000_000_000_000n }))
  const Secret = Schema.Struct({ name: Name, value: Name, rotateVia: Name, at: Nanos, foreign: Foreign })
  const known = new Set(
    "version secrets name value created_at updated_at rotate_via rotate_stdout last_rotated description".split(" ")
  )
  /** Members that survive JSON (which has no -0), without those of the store. */
  const asForeign = (members: object): Record<string, unknown> =>
    JSON.parse(JSON.stringify(members), (name, value) => (known.has(name) ? undefined : value))

  it.prop(
    "writes a document that decodes to the same document",
    [Schema.Array(Secret), Foreign],
    ([given, foreign]) => {
      const document = store(
        given.map(({ name, value, rotateVia, at, foreign }) =>
          secret(name, {
            value: Redacted.make(value),
            rotateVia,
            createdAt: fromNanos(at),
            updatedAt: fromNanos(at + 1n),
            foreign: asForeign(foreign)
          })
        ),
        asForeign(foreign)
      )
      assert.deepStrictEqual(plain(read(encodeStore(document))), plain(document))
      assert.strictEqual(encodeStore(read(encodeStore(document))), encodeStore(document))
    }
  )
})

describe("decode", () => {
  it.each(["{}", `{"secrets":null}`, `{"version":1}`, `{"version":1,"secrets":{}}`])("reads %s as empty", (text) => {
    assert.deepStrictEqual(plain(read(text)), plain(emptyStore))
  })

  it("reads compact text, and missing times as zero", () => {
    const document = read(`{"secrets":{"n":{"value":"v","created_at":null}}}`)
    assert.deepStrictEqual(plain(document), plain(store([secret("n", { value: Redacted.make("v") })])))
  })

  it("reads null as no rotation command and as no time", () => {
    const document = read(`{"secrets":{"n":{"value":"v","rotate_via":null}}}`)
    assert.strictEqual(document.secrets.get("n")?.rotateVia, "")
  })

  it("uses the key if the name differs from it", () => {
    const document = read(`{"secrets":{"key":{"name":"other","value":"v"}}}`)
    assert.deepStrictEqual(
      [...document.secrets].map(([key, { name }]) => [key, name]),
      [["key", "key"]]
    )
  })

  it("keeps secrets named like properties of Object.prototype", () => {
    const document = read(`{"secrets":{"__proto__":{"value":"v"},"constructor":{"value":"w"}}}`)
    assert.deepStrictEqual([...document.secrets.keys()], ["__proto__", "constructor"])
    assert.strictEqual(encodeStore(read(encodeStore(document))), encodeStore(document))
  })

  it.each([
    ["", "its contents are not JSON"],
    [text.slice(0, -1), "its contents are not JSON"],
    ["null", "its contents are not a JSON object"],
    ["[]", "its contents are not a JSON object"],
    [`{"secrets":[]}`, "its member secrets is not an object"],
    [`{"secrets":"s"}`, "its member secrets is not an object"],
    [`{"version":2,"secrets":{}}`, "its version is 2 and this program reads version 1"],
    [`{"version":"1"}`, `its version is "1" and this program reads version 1`],
    [`{"secrets":{"n":null}}`, `the secret "n" is not an object`],
    [`{"secrets":{"n":"v"}}`, `the secret "n" is not an object`],
    [`{"secrets":{"n":{}}}`, `the secret "n" has no value`],
    [`{"secrets":{"n":{"value":5}}}`, `the secret "n" has no value`],
    [`{"secrets":{"n":{"value":"v","rotate_via":[]}}}`, `the secret "n" has a rotate_via that is not text`],
    [`{"secrets":{"n":{"value":"v","created_at":"now"}}}`, `the secret "n" has a time that is not RFC 3339`],
    [`{"secrets":{"n":{"value":"v","updated_at":1}}}`, `the secret "n" has a time that is not RFC 3339`],
    [`{"secrets":{"n":{"value":"v","last_rotated":{}}}}`, `the secret "n" has a time that is not RFC 3339`]
  ])("refuses %j", (text, reason) => {
    assert.strictEqual(refusal(text), reason)
  })

  it("returns no part of a value in the error, wherever the text is damaged", () => {
    const value = "QXZQXZQX"
    const whole = encodeStore(store([secret("n", { value: Redacted.make(value) })]))
    for (let at = 0; at < whole.length; at += 1) {
      for (const broken of [whole.slice(0, at), whole.slice(0, at) + whole.slice(at + 1)]) {
        const decoded = decodeStore(broken)
        if (Result.isFailure(decoded)) assert.notMatch(decoded.failure, /[QXZ]/)
      }
    }
    assert.isTrue(Result.isFailure(decodeStore(whole.slice(0, -1))))
  })
})
