/**
 * Finds values of the store without having them. The daemon sends fingerprints; candidates
 * that match one are sent to the daemon, which returns the names of their secrets.
 *
 * Each distinct text is sent once, and many in one request.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { matcherOf } from "../../../domain/fingerprints.ts"
import { type DaemonAddress, call, untilAnswering } from "../../../rpc/client/client.ts"
import { type ScanFinding, isAllowed } from "./Finding.ts"
import type { Window } from "./Windows.ts"

const fingerprintsExample = {
  multiplier: 0,
  fingerprints: [[0, 0, 0] as const],
  values: 0,
  too_short: [""],
  omitted: 0
}
const namesExample = { names: [[""]] }

/** Half of the daemon's limits for a request. */
const maxBytes = 96 * 1024
const maxTexts = 500

/** For any answer. */
const answerTimeout = Duration.seconds(2)

/** Limits the cache of replies and the candidates of a batch. */
const maxKnown = 10_000

export type OwnValues = Effect.Success<ReturnType<typeof ownValues>>

interface Candidate {
  readonly position: Pick<ScanFinding, "file" | "line" | "column">
  readonly text: string
}

const identify = (daemon: DaemonAddress, clientId: string, texts: ReadonlyArray<string>) =>
  call(daemon, "secrets.identify", { client_id: clientId, texts: texts.join(",") }, namesExample)

/** Waits `connectTimeout` for the fingerprints at first; a daemon that answers anything gets its own timeout. */
export const ownValues = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  clientId: string,
  connectTimeout: Duration.Duration
) {
  const request = (timeout: Duration.Duration) =>
    call({ ...daemon, timeout }, "secrets.fingerprints", { client_id: clientId }, fingerprintsExample)
  const reply = yield* Effect.catchTag(request(connectTimeout), "RequestTimedOut", () =>
    Effect.andThen(
      untilAnswering({ ...daemon, timeout: Duration.min(answerTimeout, daemon.timeout) }),
      request(daemon.timeout)
    )
  )
  const find = matcherOf(
    reply.fingerprints.map(([length, middle, end]) => ({ length, middle, end })),
    reply.multiplier
  )
  const known = new Map<string, ReadonlyArray<string>>()
  let [candidates, unknown, bytes]: [Array<Candidate>, Set<string>, number] = [[], new Set(), 0]

  const collect = (file: string, window: Window) => {
    const matches = find(window.bytes).filter(({ start }) => start >= window.from && start < window.to)
    let last = { end: 0, text: "" }
    for (const { end, start } of matches.toSorted((a, b) => a.start - b.start)) {
      if (isAllowed(window, start, end)) continue
      const text = window.bytes.toString("base64", start, end)
      // A run of one letter matches a value of that letter at every position.
      if (start < last.end && text === last.text) continue
      last = { end, text }
      if (!known.has(text) && !unknown.has(text)) {
        unknown.add(text)
        bytes += text.length
      }
      candidates.push({ position: { file, ...window.positionOf(start) }, text })
    }
  }

  const resolve = Effect.gen(function* () {
    for (const texts of inRequests(unknown)) {
      const { names } = yield* identify(daemon, clientId, texts)
      for (const [index, text] of texts.entries()) known.set(text, names[index] ?? [])
    }
    const resolved = candidates
    ;[candidates, unknown, bytes] = [[], new Set(), 0]
    const findings = resolved.flatMap(({ position, text }) =>
      (known.get(text) ?? []).map((name) => findingAt(position, name))
    )
    if (known.size > maxKnown) known.clear()
    return findings
  })

  return {
    values: reply.values,
    tooShort: reply.too_short,
    omitted: reply.omitted,
    /** Collects the candidates of a window. */
    collect,
    /** Whether the collected candidates fill a request. */
    isFull: () => bytes > maxBytes || unknown.size > maxTexts || candidates.length > maxKnown,
    /** Sends the candidates to the daemon and returns the findings. */
    resolve
  }
})

/** Splits texts into requests: one window can hold more than a request takes. */
function* inRequests(texts: Iterable<string>): Generator<ReadonlyArray<string>> {
  let [request, bytes]: [Array<string>, number] = [[], 0]
  for (const text of texts) {
    if (request.length > 0 && (request.length >= maxTexts || bytes + text.length > maxBytes)) {
      yield request
      ;[request, bytes] = [[], 0]
    }
    request.push(text)
    bytes += text.length + 1
  }
  if (request.length > 0) yield request
}

const findingAt = (position: Candidate["position"], name: string): ScanFinding => ({
  ...position,
  severity: "critical",
  type: "own_value",
  what: `the value of ${quote(name)}`,
  secret_name: name
})
