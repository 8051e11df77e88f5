/**
 * The verifier distinguishes edits, gaps, truncation and torn lines, and accepts an
 * unchanged log.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { genesis, chainFacts, sha256 } from "../../src/domain/AuditChain.ts"
import { addFact } from "../../src/domain/storeFacts.ts"
import type { AcknowledgedHead } from "../../src/domain/AuditVerifier.ts"
import { AuditVerifier } from "../../src/domain/AuditVerifier.ts"
import { predecessorAcquire, predecessorStart, predecessorStop } from "../support/predecessor.ts"
import { fromMillis } from "../../src/domain/Timestamp.ts"

const now = fromMillis(1_800_000_000_000)
const old = (name: string) =>
  `{"timestamp":"2026-02-22T00:00:00Z","action":"x","secret_name":"${name}","success":true}\n`

/** A log of so many entries behind lines of another program, and what was acknowledged of it. */
const written = (entries: number, before: ReadonlyArray<string> = []) => {
  const names = Array.from({ length: entries }, (_, at) => `s${at + 1}`)
  const start = before.length === 0 ? genesis : { seq: 0, hash: sha256(before.join("")) }
  const { head, text } = chainFacts(names.map(addFact), now, start)
  return { lines: [...before, ...linesOf(text)], acknowledged: { ...head, first: 1 } }
}

const linesOf = (text: string) => text.split(/(?<=\n)/)

const verdict = (lines: ReadonlyArray<string>, acknowledged?: AcknowledgedHead, torn = 0) => {
  const verifier = new AuditVerifier(acknowledged)
  verifier.beginFile("audit.log")
  for (const line of lines) verifier.add(Buffer.from(line))
  verifier.tear(torn)
  return verifier.end()
}

const findingsOf = (lines: ReadonlyArray<string>, acknowledged?: AcknowledgedHead, torn = 0) =>
  verdict(lines, acknowledged, torn).findings.map(({ kind, line, message }) => `${kind} ${line}: ${message}`)

describe("an unchanged log", () => {
  it("has no findings, and the verdict states its end", () => {
    const { acknowledged, lines } = written(5)
    const { entries, first, hash, last, findings, unchained } = verdict(lines, acknowledged)
    assert.deepStrictEqual([entries, first, last, unchained, findings], [5, 1, 5, 0, []])
    assert.strictEqual(hash, acknowledged.hash)
  })

  it("may have any lines before the chain, and parts of the predecessor within and after it", () => {
    const before = written(2, [old("a"), "not even JSON\n"])
    const part = [predecessorStart, predecessorAcquire("b")]
    const seal = { seq: 2, hash: sha256([before.lines.at(-1), ...part].join("")) }
    const { head, text } = chainFacts([addFact("c")], now, seal)
    const lines = [...before.lines, ...part, text, predecessorStart]
    assert.deepStrictEqual(findingsOf(lines, { ...head, first: 1 }), [])
    const { adopted, unchained } = verdict(lines)
    assert.strictEqual(unchained, 5)
    assert.deepStrictEqual(
      adopted.map((one) => [one.lines, one.before]),
      [
        [2, 3],
        [1, undefined]
      ]
    )
  })

  it.each([
    ["an entry without a hash", [old("b")]],
    ["the predecessor's entry without its start", [predecessorAcquire("b")]],
    ["another entry after the predecessor's start", [predecessorStart, old("b")]],
    ["a blank more than the predecessor writes", [predecessorStart.replace('":"', '": "')]],
    ["a member that it does not know", [predecessorStart.replace("}", ',"note":"x"}')]],
    [
      "an expiry, which only our entries have",
      [predecessorStart, predecessorAcquire("b").replace("}", ',"expires_at":"2026-02-22T00:00:00Z"}')]
    ]
  ])("has a finding for %s, also where a later entry covers it", (_, part) => {
    const before = written(2)
    const seal = { seq: 2, hash: sha256([before.lines.at(-1), ...part].join("")) }
    const { head, text } = chainFacts([addFact("c")], now, seal)
    const count = part.length === 1 ? "1 line after entry 2 is" : "2 lines after entry 2 are"
    const expected = [`added 3: ${count} not of the daemon`]
    assert.deepStrictEqual(findingsOf([...before.lines, ...part], before.acknowledged), expected)
    assert.deepStrictEqual(findingsOf([...before.lines, ...part, text], { ...head, first: 1 }), expected)
  })

  it("may be longer than the acknowledged head", () => {
    const { lines } = written(5)
    assert.deepStrictEqual(findingsOf(lines, { seq: 3, hash: sha256(lines[2] ?? ""), first: 1 }), [])
  })

  it("may begin at the first entry that rotation kept, and nowhere else", () => {
    const { acknowledged, lines } = written(5)
    assert.deepStrictEqual(findingsOf(lines.slice(2), { ...acknowledged, first: 3 }), [])
    assert.deepStrictEqual(findingsOf(lines.slice(2), acknowledged), [
      "gap 1: entries 1 to 2 are missing at the beginning"
    ])
  })

  it("is verified across files, and may begin with a file of the predecessor", () => {
    const { acknowledged, lines } = written(4, [old("a")])
    const verifier = new AuditVerifier(acknowledged)
    const files = { "audit.log.2": [predecessorStop], "audit.log.1": lines.slice(0, 3), "audit.log": lines.slice(3) }
    for (const [name, inFile] of Object.entries(files)) {
      verifier.beginFile(name)
      for (const line of inFile) verifier.add(Buffer.from(line))
    }
    const { entries, findings, unchained } = verifier.end()
    assert.deepStrictEqual([entries, unchained, findings], [4, 2, []])
  })
})

describe("a changed log", () => {
  const { acknowledged, lines } = written(6)
  const without = (at: number, count = 1) => lines.toSpliced(at - 1, count)
  const changed = (at: number, edit: (line: string) => string) =>
    lines.map((line, index) => (index === at - 1 ? edit(line) : line))

  it("has a finding for the edited entry", () => {
    const other = (line: string) => line.replace("secret_add", "secret_del")
    assert.deepStrictEqual(findingsOf(changed(3, other), acknowledged), ["edited 3: entry 3 is not as written"])
    assert.deepStrictEqual(findingsOf(changed(6, other), acknowledged), [
      "edited 6: entry 6 is not the one that was acknowledged"
    ])
    assert.deepStrictEqual(
      findingsOf(
        changed(3, () => "gone\n"),
        acknowledged
      ),
      ["edited 3: the line is not an audit entry", "edited 4: entry 3 is not as written"]
    )
    assert.deepStrictEqual(
      findingsOf(
        changed(6, () => old("x")),
        acknowledged
      ),
      ["edited 6: entry 6 is not as written"]
    )
  })

  it("has a finding for an inserted line", () => {
    assert.deepStrictEqual(findingsOf(lines.toSpliced(2, 0, old("x")), acknowledged), [
      "edited 4: something between entry 2 and entry 3 is not as written"
    ])
  })

  it("has a finding for reordered entries", () => {
    const [first = "", second = "", ...rest] = lines
    assert.include(findingsOf([second, first, ...rest], acknowledged).join("\n"), "entry 1 follows entry 2")
  })

  it("has a finding for an edited line of another program", () => {
    const sealed = written(2, [old("a"), old("b")])
    assert.deepStrictEqual(findingsOf([old("a"), old("B"), ...sealed.lines.slice(2)], sealed.acknowledged), [
      "edited 3: the lines before entry 1 have changed since it was written"
    ])
  })

  it("has distinct findings for a gap, a truncated end and a torn line", () => {
    assert.deepStrictEqual(findingsOf(without(3), acknowledged), ["gap 3: entry 3 is missing"])
    assert.deepStrictEqual(findingsOf(without(2, 3), acknowledged), ["gap 2: entries 2 to 4 are missing"])
    assert.deepStrictEqual(findingsOf(lines.slice(0, 4), acknowledged), [
      "truncated 4: entries 5 to 6 are missing at the end"
    ])
    assert.deepStrictEqual(findingsOf([], acknowledged), ["truncated 0: entries 1 to 6 are missing at the end"])
    assert.deepStrictEqual(findingsOf(lines, acknowledged, 17), ["torn 7: the last line is cut off after 17 bytes"])
    assert.deepStrictEqual(findingsOf(lines.slice(0, 5), acknowledged, 17), [
      "torn 6: the last line is cut off after 17 bytes; it was entry 6, which had been acknowledged"
    ])
    assert.deepStrictEqual(findingsOf(lines.slice(0, 4), acknowledged, 17), [
      "torn 5: the last line is cut off after 17 bytes",
      "truncated 5: entries 5 to 6 are missing at the end"
    ])
  })

  const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: lines.join("").length - 1 }))
  it.prop(
    "has a finding for every change of a single byte",
    [Place, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))],
    ([place, flip]) => {
      const bytes = Buffer.from(lines.join(""))
      bytes[place] = (bytes[place] ?? 0) ^ flip
      const whole = bytes.lastIndexOf("\n") + 1
      const verifier = new AuditVerifier(acknowledged)
      verifier.beginFile("audit.log")
      for (let from = 0; from < whole;) {
        const end = bytes.indexOf("\n", from) + 1
        verifier.add(bytes.subarray(from, end))
        from = end
      }
      verifier.tear(bytes.length - whole)
      assert.notStrictEqual(verifier.end().findings.length, 0)
    }
  )
})
