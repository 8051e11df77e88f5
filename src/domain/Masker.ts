/**
 * Replaces values in a stream of bytes by `***`, or by as many stars as they have bytes, wherever the stream is split. An
 * Aho-Corasick automaton reads the bytes, once each, except where `windowShifts` jumps over what begins no variant. Only
 * bytes that may begin a value are held back, at most `maskPrefixLength`. A longer variant is recognized by that prefix and
 * masked as long as it continues, so memory does not grow with the values. Every byte of any variant is masked, and adjacent
 * matches become one mask. Except for what `release` passes on, the result does not depend on the splits.
 */
import { possibleStart, type WindowShifts, windowShifts } from "./windowShifts.ts"

/** Shorter values are not masked: `release` may pass on fewer bytes than this. */
export const minMaskedLength = 4
/** A longer prefix would hold back more output; a shorter one would match other text. */
export const maskPrefixLength = 64
/** Limits the memory of the transition table. Variants beyond it are not masked. */
const maxStates = 200_000

const mask = Buffer.from("***")
const star = "*"

export interface MaskerOptions {
  /** Masks each byte by one, so that lengths and positions stay. */
  readonly sameLength?: boolean
}

interface Automaton {
  /** By state (a multiple of `classes`) and byte class: twice the next state, plus one if a variant ends there. */
  readonly next: Int32Array
  readonly classOf: Uint8Array
  readonly classes: number
  /** By state number: the length of the matched prefix, and of the longest variant that ends here. */
  readonly depth: Uint8Array
  readonly ends: Uint8Array
  /** The variants longer than their prefix, by the state that recognizes the prefix. */
  readonly longer: ReadonlyMap<number, ReadonlyArray<LongVariant>>
  /** Undefined if a variant is too short. */
  readonly jumps: WindowShifts | undefined
}

interface LongVariant {
  readonly bytes: Buffer
  /** The Knuth-Morris-Pratt failure function, computed when the variant is first seen. */
  borders: Int32Array | undefined
}

/** Returns a factory of maskers for these variants. Each stream needs its own masker. */
export const makeMaskers = (variants: ReadonlyArray<Buffer>, options: MaskerOptions = {}): (() => Masker) => {
  const automaton = build(variants)
  return () => new Masker(automaton, options)
}

/** Returns how many of the variants can be masked. */
export const countMaskable = (variants: ReadonlyArray<Buffer>): number => {
  let states = 1
  const at = variants.findIndex((variant) => (states += Math.min(variant.length, maskPrefixLength)) > maxStates)
  return at < 0 ? variants.length : at
}

const build = (variants: ReadonlyArray<Buffer>): Automaton => {
  const heads = variants.map((variant) => variant.subarray(0, maskPrefixLength))
  const { classOf, classes } = classesOf(heads)
  const maxSize = 1 + heads.reduce((sum, head) => sum + head.length, 0)
  const next = new Int32Array(maxSize * classes)
  const depth = new Uint8Array(maxSize)
  const ends = new Uint8Array(maxSize)
  const longer = new Map<number, Array<LongVariant>>()
  let states = 1
  for (const [at, head] of heads.entries()) {
    let state = 0
    for (const byte of head) {
      const step = state * classes + (classOf[byte] ?? 0)
      if (next[step] === 0) {
        depth[states] = (depth[state] ?? 0) + 1
        next[step] = states
        states += 1
      }
      state = next[step] ?? 0
    }
    ends[state] = head.length
    const variant = variants[at]
    if (variant !== undefined && variant.length > maskPrefixLength) {
      longer.set(state, [...(longer.get(state) ?? []), { bytes: variant, borders: undefined }])
    }
  }
  link(next, ends, classes)
  for (let step = 0; step < next.length; step += 1) {
    const state = next[step] ?? 0
    next[step] = 2 * state * classes + (ends[state] === 0 ? 0 : 1)
  }
  return { next, classOf, classes, depth, ends, longer, jumps: windowShifts(heads) }
}

/** Bytes that no variant has share class 0, from which every state falls back to the start. */
const classesOf = (heads: ReadonlyArray<Buffer>) => {
  const letters = new Set(Buffer.concat(heads))
  const classOf = new Uint8Array(256)
  // UTF-8 uses at most 243 byte values, so 256 classes suffice.
  for (const [at, byte] of [...letters].entries()) classOf[byte] = at + 1
  return { classOf, classes: letters.size + 1 }
}

/** Fills in the failure transitions: to the longest suffix that is a prefix of a variant. */
const link = (next: Int32Array, ends: Uint8Array, classes: number): void => {
  const fallback = new Int32Array(next.length / classes)
  const queue: Array<number> = []
  for (let letter = 0; letter < classes; letter += 1) {
    const child = next[letter] ?? 0
    if (child !== 0) queue.push(child)
  }
  for (let at = 0; at < queue.length; at += 1) {
    const state = queue[at] ?? 0
    const back = fallback[state] ?? 0
    ends[state] = Math.max(ends[state] ?? 0, ends[back] ?? 0)
    for (let letter = 0; letter < classes; letter += 1) {
      const child = next[state * classes + letter] ?? 0
      const otherwise = next[back * classes + letter] ?? 0
      if (child === 0) {
        next[state * classes + letter] = otherwise
      } else {
        fallback[child] = otherwise
        queue.push(child)
      }
    }
  }
}

/** A range of the buffered bytes; the end is exclusive. */
type MaskRange = [from: number, to: number]

export class Masker {
  /** How many masks were passed on. */
  count = 0
  private readonly automaton: Automaton
  private readonly sameLength: boolean
  /** The state of the automaton, as an element of its table. */
  private step = 0
  /** The bytes held back, and the ranges of them to mask. */
  private kept: Buffer = Buffer.alloc(0)
  private masked: Array<MaskRange> = []
  /** How many of the bytes held back were released already. */
  private released = 0
  /** Whether the last byte passed on was masked: an adjacent match continues that mask. */
  private inMask = false
  /** The long variants being matched beyond their prefix, and how many bytes of each were seen. */
  private followed: Array<{ readonly variant: LongVariant; seen: number }> = []

  constructor(automaton: Automaton, { sameLength = false }: MaskerOptions) {
    this.automaton = automaton
    this.sameLength = sameLength
  }

  /** Adds bytes, and returns what can be passed on. */
  push(piece: Buffer): Buffer {
    const { classOf, classes, depth, jumps, next } = this.automaton
    const begin = this.kept.length
    const bytes = begin === 0 ? piece : Buffer.concat([this.kept, piece])
    // Local variables: the loop is much faster than with fields.
    let [step, isFollowing] = [this.step, this.followed.length > 0]
    // No jump begins before this position: no content makes this slower than the automaton alone.
    let nextJump = begin
    for (let at = begin; at < bytes.length; at += 1) {
      if (step === 0 && !isFollowing && at >= nextJump && jumps !== undefined) {
        at = possibleStart(jumps, bytes, at)
        nextJump = at + jumps.window
        if (at === bytes.length) break
      }
      const byte = bytes[at] ?? 0
      step = next[(step >> 1) + (classOf[byte] ?? 0)] ?? 0
      if (isFollowing) isFollowing = this.goOn(byte, at + 1)
      if ((step & 1) === 1) isFollowing = this.find((step >> 1) / classes, at + 1)
    }
    this.step = step
    this.masked = merged(this.masked)
    return this.pass(bytes, bytes.length - (depth[(step >> 1) / classes] ?? 0))
  }

  /** Returns the rest, at the end of the stream. */
  end(): Buffer {
    return this.pass(this.kept, this.kept.length)
  }

  /** Returns whether so little is held back that it may be released without revealing a value. */
  mayRelease(): boolean {
    return this.kept.length > this.released && this.kept.length < minMaskedLength
  }

  /** Passes on what is held back. If it turns out to begin a value, only the rest is masked. */
  release(): Buffer {
    const { kept, masked } = this
    const out = this.pass(kept, kept.length)
    this.kept = kept
    this.masked = masked
    this.released = kept.length
    return out
  }

  /** Handles a match that ends at `to`. Like `goOn`, returns whether a long variant is being matched. */
  private find(state: number, to: number): boolean {
    const { ends, longer } = this.automaton
    const length = ends[state] ?? 0
    mark(this.masked, to - length, to)
    for (const variant of length < maskPrefixLength ? [] : (longer.get(state) ?? [])) {
      if (!this.followed.some((one) => one.variant === variant)) this.followed.push({ variant, seen: maskPrefixLength })
    }
    return this.followed.length > 0
  }

  private goOn(byte: number, to: number): boolean {
    for (const one of this.followed) {
      one.seen = follow(one.variant, one.seen, byte)
      if (one.seen >= maskPrefixLength) mark(this.masked, to - one.seen, to)
    }
    if (this.followed.some(({ seen }) => seen < maskPrefixLength)) {
      this.followed = this.followed.filter(({ seen }) => seen >= maskPrefixLength)
    }
    return this.followed.length > 0
  }

  /** Passes on the bytes before `to` that were not passed on yet. */
  private pass(bytes: Buffer, to: number): Buffer {
    const pieces: Array<Buffer> = []
    let at = this.released
    const copy = (until: number) => {
      if (until <= at) return
      pieces.push(bytes.subarray(at, until))
      at = until
      this.inMask = false
    }
    for (const [from, until] of this.masked) {
      if (from >= to) break
      copy(from)
      if (until <= at) continue
      const end = Math.min(until, to)
      if (this.sameLength) pieces.push(Buffer.alloc(end - at, star))
      else if (!this.inMask) pieces.push(mask)
      if (!this.inMask) this.count += 1
      this.inMask = true
      at = end
    }
    copy(to)
    this.masked = this.masked
      .filter(([, until]) => until > to)
      .map(([from, until]) => [Math.max(0, from - to), until - to])
    this.released = Math.max(0, this.released - to)
    this.kept = Buffer.from(bytes.subarray(to))
    const [only] = pieces
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
  }
}

/** Returns the length of the longest prefix of the variant that ends with this byte. */
const follow = (variant: LongVariant, seen: number, byte: number): number => {
  const { bytes } = variant
  const borders = (variant.borders ??= bordersOf(bytes))
  let length = seen
  while (length > 0 && (length === bytes.length || bytes[length] !== byte)) length = borders[length - 1] ?? 0
  return bytes[length] === byte ? length + 1 : length
}

const bordersOf = (bytes: Buffer): Int32Array => {
  const borders = new Int32Array(bytes.length)
  for (let at = 1, length = 0; at < bytes.length; at += 1) {
    while (length > 0 && bytes[length] !== bytes[at]) length = borders[length - 1] ?? 0
    if (bytes[length] === bytes[at]) length += 1
    borders[at] = length
  }
  return borders
}

/** Adds a range, or extends the last one if they touch. */
const mark = (ranges: Array<MaskRange>, from: number, to: number): void => {
  const last = ranges.at(-1)
  if (last === undefined || from > last[1]) ranges.push([from, to])
  else [last[0], last[1]] = [Math.min(last[0], from), Math.max(last[1], to)]
}

/** Sorts ranges and joins those that touch. */
const merged = (ranges: Array<MaskRange>): Array<MaskRange> => {
  if (ranges.length < 2) return ranges
  const result: Array<MaskRange> = []
  for (const [from, to] of ranges.toSorted(([left], [right]) => left - right)) {
    const last = result.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else if (to > from) result.push([from, to])
  }
  return result
}
