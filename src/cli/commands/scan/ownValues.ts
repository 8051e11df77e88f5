/**
 * The store's own values, found without having them: the daemon gives marks, the
 * texts that have one go to the daemon, and it says whose values they are.
 *
 * A text is asked about once, however often it is found, and many in one request.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { matcherOf } from "../../../domain/fingerprints.ts"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import type { ScanFinding } from "./Finding.ts"
import { isAllowed } from "./Finding.ts"
import type { Window } from "./Windows.ts"

const fingerprintsExample = {
  multiplier: 0,
  fingerprints: [[0, 0, 0] as const],
  values: 0,
  too_short: [""],
  omitted: 0
}
const namesExample = { names: [[""]] }

/** Half of what the daemon takes at once, of each. */
const maxBytes = 96 * 1024
const maxTexts = 500

/** Answers are kept, but not those about all the texts of a large tree. */
const maxKnown = 10_000

export interface OwnValues {
  readonly values: number
  readonly tooShort: ReadonlyArray<string>
  readonly leftOut: number
  /** Takes note of the places of a window that have a mark. */
  readonly lookAt: (file: string, window: Window) => void
  /** Whether so much has been noted that it is time to settle it. */
  readonly isFull: () => boolean
  /** Asks the daemon about what was noted, and gives what it recognized. */
  readonly settle: Effect.Effect<ReadonlyArray<ScanFinding>, Effect.Error<ReturnType<typeof askFor>>>
}

interface Note {
  readonly place: Pick<ScanFinding, "file" | "line" | "column">
  readonly text: string
}

const askFor = (daemon: DaemonAddress, clientId: string, texts: ReadonlyArray<string>) =>
  call(daemon, "secrets.identify", { client_id: clientId, texts: texts.join(",") }, namesExample)

/** A daemon that is not there is waited for as long as `patience` says; one that is, as long as it is told itself. */
export const ownValues = Effect.fnUntraced(function* (
  daemon: DaemonAddress,
  clientId: string,
  patience: Duration.Duration
) {
  const fingerprints = (timeout: Duration.Duration) =>
    call({ ...daemon, timeout }, "secrets.fingerprints", { client_id: clientId }, fingerprintsExample)
  const given = yield* Effect.catchTag(fingerprints(patience), "NoAnswer", () => fingerprints(daemon.timeout))
  const find = matcherOf(
    given.fingerprints.map(([length, middle, end]) => ({ length, middle, end })),
    given.multiplier
  )
  const known = new Map<string, ReadonlyArray<string>>()
  let [notes, unknown, bytes]: [Array<Note>, Set<string>, number] = [[], new Set(), 0]

  const lookAt = (file: string, window: Window) => {
    const places = find(window.bytes).filter(({ start }) => start >= window.from && start < window.to)
    let last = { end: 0, text: "" }
    for (const { end, start } of places.toSorted((a, b) => a.start - b.start)) {
      if (isAllowed(window, start, end)) continue
      const text = window.bytes.toString("base64", start, end)
      // A row of one letter has a value of that letter at every place.
      if (start < last.end && text === last.text) continue
      last = { end, text }
      if (!known.has(text) && !unknown.has(text)) {
        unknown.add(text)
        bytes += text.length
      }
      notes.push({ place: { file, ...window.positionOf(start) }, text })
    }
  }

  const settle = Effect.gen(function* () {
    for (const texts of inRequests(unknown)) {
      const { names } = yield* askFor(daemon, clientId, texts)
      for (const [index, text] of texts.entries()) known.set(text, names[index] ?? [])
    }
    const settled = notes
    ;[notes, unknown, bytes] = [[], new Set(), 0]
    const findings = settled.flatMap(({ place, text }) => (known.get(text) ?? []).map((name) => found(place, name)))
    if (known.size > maxKnown) known.clear()
    return findings
  })

  const own: OwnValues = {
    values: given.values,
    tooShort: given.too_short,
    leftOut: given.omitted,
    lookAt,
    isFull: () => bytes > maxBytes || unknown.size > maxTexts || notes.length > maxKnown,
    settle
  }
  return own
})

/** A window alone can hold more than one request takes. */
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

const found = (place: Note["place"], name: string): ScanFinding => ({
  ...place,
  severity: "critical",
  type: "own_value",
  what: `the value of ${quote(name)}`,
  secret_name: name
})
