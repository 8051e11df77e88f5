/**
 * Terminal output: durations, tables that fit, suggestions for typos, and the frame of
 * `status --watch`.
 */
import { assert, describe, it } from "@effect/vitest"
import { closestMatch } from "../../src/domain/closestMatch.ts"
import { formatDuration } from "../../src/cli/terminal/formatDuration.ts"
import {
  type StatusFrame,
  metricsDelta,
  parseAcquireMetrics,
  quantile,
  renderFrame
} from "../../src/cli/commands/status/statusFrame.ts"
import { displayWidth, truncate } from "../../src/cli/terminal/displayWidth.ts"
import { table } from "../../src/cli/terminal/table.ts"

const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000]

describe("formatDuration", () => {
  for (const [millis, text] of [
    [-5, "0s"],
    [999, "0s"],
    [59 * second, "59s"],
    [minute, "1m"],
    [hour - 1, "59m"],
    [hour, "1h"],
    [hour + 3 * minute, "1h 3m"],
    [2 * day + hour + minute, "2d 1h"],
    [3 * day, "3d"]
  ] as const) {
    it(`formats ${millis} ms as ${text}`, () => assert.strictEqual(formatDuration(millis), text))
  }
})

describe("a table", () => {
  it("never splits a surrogate pair", () => {
    const [, row] = table(["A", "B"], [["🔑".repeat(20), "b"]], { width: 20 })
    assert.match(row ?? "", /^(🔑)+… +b$/u)
    const [, other] = table(["A", "B"], [["🔑".repeat(20), "b"]], { width: 21 })
    assert.match(other ?? "", /^(🔑)+… +b$/u)
  })

  const rows = [["a".repeat(30), "b".repeat(20), "0123456789"]]

  it("is not truncated without a terminal", () => {
    const [, row] = table(["A", "B", "ID"], rows)
    assert.strictEqual(row, rows[0]?.join("  "))
  })

  it("is not truncated on a terminal that was given no size", () => {
    const [, row] = table(["A", "B", "ID"], rows, { width: 0 })
    assert.strictEqual(row, rows[0]?.join("  "))
  })

  it("truncates the widest columns to fit a terminal, but not ids", () => {
    const [, row] = table(["A", "B", "ID"], rows, { width: 50, whole: ["ID"] })
    assert.strictEqual(row, `${"a".repeat(17)}…  ${"b".repeat(18)}  0123456789`.replace(/b+/, `${"b".repeat(17)}…`))
  })

  it("keeps a minimum column width on a narrow terminal", () => {
    const [, row] = table(["A", "B", "ID"], rows, { width: 5, whole: ["ID"] })
    assert.strictEqual(row, "aaaaaaa…  bbbbbbb…  0123456789")
  })
})

describe("wide and hostile cells", () => {
  const names = ["plain", "日本語", "e\u0301", "한글", "🔑", "ｆｕｌｌ", "\u001b[2J", "a\u200bb", "line\nfeed", "\\x1b"]

  it("keep the columns aligned", () => {
    const [, ...rows] = table(
      ["NAME", "NEXT"],
      names.map((name) => [name, "|"])
    )
    assert.lengthOf(rows, names.length)
    for (const row of rows) assert.strictEqual(displayWidth(row.slice(0, row.indexOf("|"))), "line\\nfeed  ".length)
  })

  it("have the width that a terminal gives them", () => {
    assert.deepStrictEqual(names.slice(0, 6).map(displayWidth), [5, 6, 1, 4, 2, 8])
  })

  it("are truncated between characters", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 3, 5, 6].map((width) => truncate("日本語", width)),
      ["…", "…", "…", "日…", "日本…", "日本語"]
    )
  })
})

describe("closestMatch", () => {
  const words = ["lease", "leases", "list", "status", "init", "rm"]
  for (const [given, expected] of [
    ["leese", "lease"],
    ["laese", "lease"],
    ["statsu", "status"],
    ["stat", "status"],
    ["lst", "list"],
    ["xx", undefined],
    ["x".repeat(100_000), undefined],
    ["", undefined]
  ] as const) {
    it(`returns ${expected ?? "undefined"} for ${JSON.stringify(given.slice(0, 10))}`, () =>
      assert.strictEqual(closestMatch(given, words), expected))
  }
})

describe("the acquire metrics", () => {
  const text = (acquires: number, counts: ReadonlyArray<number>) =>
    [
      `agent_secrets_lease_acquires_total ${acquires}`,
      ...["0.001", "0.01", "+Inf"].map(
        (limit, at) => `agent_secrets_lease_acquire_duration_seconds_bucket{le="${limit}"} ${counts[at]}`
      ),
      "agent_secrets_other 7"
    ].join("\n")

  it("give the count and the quantiles between two readings", () => {
    const [before, after] = [parseAcquireMetrics(text(10, [9, 10, 10])), parseAcquireMetrics(text(110, [60, 109, 110]))]
    const recent = metricsDelta(before, after)
    assert.strictEqual(recent.acquires, 100)
    assert.deepStrictEqual(
      [quantile(recent, 0.5), quantile(recent, 0.99), quantile(recent, 1)],
      [0.001, 0.01, Number.POSITIVE_INFINITY]
    )
    assert.strictEqual(quantile(metricsDelta(after, after), 0.5), undefined)
  })

  it("start over when the daemon restarts", () => {
    assert.strictEqual(
      metricsDelta(parseAcquireMetrics(text(10, [1, 1, 1])), parseAcquireMetrics(text(3, [1, 2, 3]))).acquires,
      3
    )
  })

  it("are empty for any other text", () => {
    assert.deepStrictEqual(parseAcquireMetrics("no metrics"), { acquires: 0, buckets: [] })
  })
})

describe("the frame of status --watch", () => {
  const frame: StatusFrame = {
    socketPath: "/somewhere/agent-secrets.sock",
    snapshot: {
      status: {
        running: true,
        started_at: "",
        secrets_count: 2,
        active_leases: 7,
        store_state: undefined,
        locked_since: undefined
      },
      diagnostics: {
        pid: 1,
        version: "1.0.0",
        uptime_ms: hour,
        proxy: undefined,
        team: undefined,
        build: undefined,
        leases: { expired: 0, unreadable: 0, capacity: 0, oldest: undefined },
        audit: { entries: 0, size: 0, archives: 0, failure: undefined, findings: undefined, adopted: undefined },
        sinks: [{ kind: "joelclaw", target: "/bin/joelclaw", sent: 3, dropped: 0, queued: 0, last_failure: undefined }],
        store: undefined,
        unclean_starts: undefined
      },
      leases: { by_client: [{ client_id: "\u001b[31mred", count: 7 }], by_secret: [{ secret_name: "db", count: 7 }] },
      audit: {
        entries: [...Array(20).keys()].map((n) => ({
          timestamp: `2026-01-01T12:00:${n} Z`,
          action: "lease_acquire",
          secret_name: "db",
          client_id: "c",
          success: true
        }))
      }
    },
    silentMillis: undefined,
    rate: 12.34,
    recent: parseAcquireMetrics('agent_secrets_lease_acquire_duration_seconds_bucket{le="0.0025"} 3')
  }
  const plain = { columns: 80, rows: 24, colour: false }

  it("fits everything on one screen, with the latest audit entries at the end", () => {
    const lines = renderFrame(frame, plain)
    assert.lengthOf(lines, 24)
    assert.strictEqual(lines[0], "agent-secrets  serving  /somewhere/agent-secrets.sock")
    for (const part of ["up 1h", "active leases 7", "acquires 12.3/s", "p50 ≤ 2.5 ms", "12:00:19"]) {
      assert.isTrue(
        lines.some((line) => line.includes(part)),
        part
      )
    }
    assert.isFalse(lines.some((line) => line.includes("12:00:1 ")))
  })

  it("fits every terminal size and contains no control characters", () => {
    for (const columns of [1, 10, 40, 79, 200]) {
      for (const rows of [1, 3, 8, 15, 60]) {
        const lines = renderFrame(frame, { columns, rows, colour: false })
        assert.isTrue(lines.length <= Math.max(3, rows), `${lines.length} lines for ${rows}`)
        for (const line of lines) {
          assert.isTrue(line.length <= columns, `${JSON.stringify(line)} for ${columns}`)
          assert.notMatch(line, /\p{Cc}/u)
        }
      }
    }
  })

  it("escapes whatever a peer sends", () => {
    const hostile = "\u001b[2J\u009b\u202e\n$&"
    const spoiled = JSON.parse(
      JSON.stringify(frame, (_key, value: unknown) => (typeof value === "string" ? `${hostile}${value}` : value))
    )
    const refusing = { ...spoiled.snapshot.diagnostics, audit: { failure: hostile } }
    for (const diagnostics of [spoiled.snapshot.diagnostics, refusing]) {
      const lines = renderFrame(
        { ...spoiled, snapshot: { ...spoiled.snapshot, diagnostics } },
        { ...plain, colour: true }
      )
      for (const line of lines)
        assert.notMatch(
          line.replace("\u001b[32m", "").replace("\u001b[31m", "").replace("\u001b[0m", ""),
          /[\p{C}\p{Zl}]/u
        )
    }
  })

  it("shows how long the daemon has not responded, and keeps the last snapshot", () => {
    const lines = renderFrame({ ...frame, silentMillis: 3000 }, plain)
    assert.match(lines[0] ?? "", /not responding for 3s/)
    assert.isTrue(lines.some((line) => line.includes("active leases 7")))
    assert.match(
      renderFrame({ ...frame, snapshot: undefined, silentMillis: 0 }, plain)[0] ?? "",
      /not responding for 0s/
    )
  })

  it("colors only the state, and only if wanted", () => {
    const colored = renderFrame(frame, { ...plain, colour: true })
    assert.strictEqual(colored[0], "agent-secrets  \u001b[32mserving\u001b[0m  /somewhere/agent-secrets.sock")
    assert.notInclude(colored.slice(1).join(""), "\u001b")
  })
})
