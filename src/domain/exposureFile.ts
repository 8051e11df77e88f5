/**
 * The contents of exposure.json: the exposure at a position of the audit log. A JSON array with an
 * element on each line: what it is, then each value, followed by who was given it, then the programs that may still run.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { AuditEntry } from "./AuditEntry.ts"
import { Exposure, type ExposedValue, type Handout, type LogPlace } from "./Exposure.ts"
import { parseTimestamp, type Timestamp, zeroTimestamp } from "./Timestamp.ts"

export const exposureFileName = "exposure.json"

/** The last entry that the exposure includes. */
export interface ExposureBinding {
  readonly seq: number
  /** SHA-256 of its line. */
  readonly line: string
}

const Place = Schema.Struct({ seq: Schema.Int, at: Schema.String })
const Head = Schema.Struct({
  version: Schema.Literal(1),
  seq: Schema.Int,
  line: Schema.String,
  from: Schema.optionalKey(Place),
  backup: Schema.optionalKey(Place),
  forgotten: Schema.Int,
  programs_forgotten: Schema.optionalKey(Schema.Int)
})
const ValueLine = Schema.Struct({
  secret: Schema.String,
  set: Schema.optionalKey(
    Schema.Struct({ ...Place.fields, by: Schema.String, former: Schema.optionalKey(Schema.Boolean) })
  ),
  rotated: Schema.optionalKey(Place),
  unnamed: Schema.Int
})
const HandoutLine = Schema.Struct({
  client: Schema.String,
  grouped: Schema.Boolean,
  via: Schema.String,
  program: Schema.String,
  first: Schema.String,
  last: Schema.String,
  times: Schema.Int,
  seq: Schema.Int,
  lease: Schema.String
})

const ProgramLine = Schema.Struct({
  started: Schema.String,
  secret: Schema.String,
  client: Schema.String,
  via: Schema.String,
  program: Schema.String,
  seq: Schema.Int,
  run: Schema.String
})

const decodeHead = Schema.decodeUnknownOption(Schema.fromJsonString(Head))
const decodeValue = Schema.decodeUnknownOption(Schema.fromJsonString(ValueLine))
const decodeHandout = Schema.decodeUnknownOption(Schema.fromJsonString(HandoutLine))

const decodeProgram = Schema.decodeUnknownOption(Schema.fromJsonString(ProgramLine))

const placeOut = (place: LogPlace | undefined) => place && { ...place, at: place.at.text }

/** Yields the text, in chunks of some lines. */
export function* encodeExposure(exposure: Exposure, { line, seq }: ExposureBinding): Generator<string> {
  const { backup, forgotten, from, programs } = exposure
  const head = { version: 1, seq, line, from: placeOut(from), backup: placeOut(backup), forgotten }
  let chunk = `[\n${JSON.stringify({ ...head, programs_forgotten: programs.forgotten })}`
  let lines = 0
  const add = (element: object) => {
    chunk += `,\n${JSON.stringify(element)}`
    lines += 1
  }
  for (const secret of exposure.names()) {
    for (const { handouts, rotated, set, unnamed } of exposure.valuesOf(secret)) {
      add({ secret, set: set && { ...set, at: set.at.text }, rotated: placeOut(rotated), unnamed })
      for (const { first, last, leaseId: lease, ...row } of handouts) {
        add({ ...row, first: first.text, last: last.text, lease })
        if (lines < linesPerChunk) continue
        yield chunk
        chunk = ""
        lines = 0
      }
    }
  }
  for (const { leaseId: started, ...program } of programs.all()) add({ started, ...program })
  yield `${chunk}\n]\n`
}

/** Other requests run between two chunks. */
export const linesPerChunk = 500

/** Decodes the text in steps, each of some lines; its result is undefined if the text is not whole. */
export function* decodeExposure(text: string): Generator<void, (ExposureBinding & { exposure: Exposure }) | undefined> {
  const lines = text.split("\n")
  const element = (at: number) => lines[at]?.replace(/,$/, "") ?? ""
  const head = Option.getOrUndefined(decodeHead(element(1)))
  if (head === undefined || lines[0] !== "[" || lines.at(-2) !== "]" || lines.at(-1) !== "") return undefined
  const exposure = new Exposure()
  exposure.from = placeIn(head.from)
  exposure.backup = placeIn(head.backup)
  exposure.forgotten = head.forgotten
  exposure.programs.forgotten = head.programs_forgotten ?? 0
  let value: { name: string; of: Omit<ExposedValue, "handouts">; handouts: Array<Handout> } | undefined
  const end = () => value !== undefined && exposure.restore(value.name, { ...value.of, handouts: value.handouts })
  for (let at = 2; at < lines.length - 2; at += 1) {
    const line = element(at)
    if (at % linesPerChunk === 0) yield
    if (line.startsWith('{"started":')) {
      const program = Option.getOrUndefined(decodeProgram(line))
      if (program === undefined) return undefined
      const { started: leaseId, ...rest } = program
      exposure.programs.restore({ leaseId, ...rest })
      continue
    }
    const row = line.startsWith('{"secret":') ? undefined : Option.getOrUndefined(decodeHandout(line))
    if (row === undefined) {
      const read = Option.getOrUndefined(decodeValue(line))
      if (read === undefined) return undefined
      end()
      const set = read.set === undefined ? undefined : { ...read.set, at: timeIn(read.set.at) }
      const of = { set, rotated: placeIn(read.rotated), unnamed: read.unnamed }
      value = { name: read.secret, of, handouts: [] }
    } else {
      const { first, last, lease: leaseId, ...rest } = row
      value?.handouts.push({ ...rest, first: timeIn(first), last: timeIn(last), leaseId })
    }
  }
  end()
  return { seq: head.seq, line: head.line, exposure }
}

const timeIn = (text: string): Timestamp => Option.getOrElse(parseTimestamp(text), () => zeroTimestamp)
const placeIn = (place: { readonly seq: number; readonly at: string } | undefined): LogPlace | undefined =>
  place && { seq: place.seq, at: timeIn(place.at) }

/** The entries that name exposure.json: each before that version is written. */
export class ExposureNames {
  private readonly hashes = new Set<string>()
  private last = 0

  add({ exposure: hash }: AuditEntry, seq: number): void {
    if (hash === undefined) return
    this.hashes.add(hash)
    this.last = seq
  }

  /**
   * Returns what is wrong with the file that has this hash, undefined for a missing one. That matters only if the log
   * lacks entries: `first` is the number of its first one.
   */
  problemOf(hash: string | undefined, first: number): string | undefined {
    const { hashes, last } = this
    if (hash === undefined) {
      return last > 0 && first > 1 ? `exposure.json is missing, and entry ${last} names it` : undefined
    }
    if (last === 0) return exposureUnnamed
    return hashes.has(hash) ? undefined : exposureChanged(last)
  }
}

export const exposureChanged = (seq: number): string =>
  `exposure.json is not the one that entry ${seq} names: it was changed or replaced`
export const exposureUnnamed = "exposure.json is named by no entry of the log"
