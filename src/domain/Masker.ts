/**
 * Finds values in a stream of bytes, however it is cut, and puts `***` in their
 * place.
 *
 * An automaton after Aho and Corasick reads each byte once. Held back are only the
 * bytes that may be the beginning of a value, at most `knownBy` of them. Of a longer
 * form that many bytes make it known, and what follows is masked as far as it goes
 * on like the value; so memory does not grow with the values. Masked is every byte
 * that is in any form of any value; what touches becomes one mask. The result does
 * not depend on how the stream is cut, but for what `release` let go.
 */

/** What is held back and may be let go is less than this many bytes, so no shorter value can be masked. */
export const minMaskedLength = 4
/** A form is known by so many bytes. More would be held back longer, fewer are in other texts as well. */
export const maskPrefixLength = 64
/** Beyond it more values are not looked for: the table would need more than some 100 MB. */
const maxStates = 200_000

const mask = Buffer.from("***")

interface Automaton {
  /** For each state (a multiple of `classes`) and class of bytes, twice the next state, and one more if a form ends there. */
  readonly next: Int32Array
  readonly classOf: Uint8Array
  readonly classes: number
  /** By state number: how many bytes of a form have been seen, and the longest form that ends here. */
  readonly depth: Uint8Array
  readonly ends: Uint8Array
  /** The forms that are longer than what they are known by, by the state that knows them. */
  readonly longer: ReadonlyMap<number, ReadonlyArray<LongForm>>
}

interface LongForm {
  readonly bytes: Buffer
  /** After Knuth, Morris and Pratt: of its first bytes, how many of the last begin it. Made when it is first seen. */
  borders: Int32Array | undefined
}

/** Makes maskers for these forms: each stream needs one of its own. */
export const makeMaskers = (forms: ReadonlyArray<Buffer>): (() => Masker) => {
  const automaton = build(forms)
  return () => new Masker(automaton)
}

/** How many of the forms can be looked for. */
export const countMaskable = (forms: ReadonlyArray<Buffer>): number => {
  let states = 1
  const at = forms.findIndex((form) => (states += Math.min(form.length, maskPrefixLength)) > maxStates)
  return at < 0 ? forms.length : at
}

const build = (forms: ReadonlyArray<Buffer>): Automaton => {
  const heads = forms.map((form) => form.subarray(0, maskPrefixLength))
  const { classOf, classes } = classesOf(heads)
  const most = 1 + heads.reduce((sum, head) => sum + head.length, 0)
  const next = new Int32Array(most * classes)
  const depth = new Uint8Array(most)
  const ends = new Uint8Array(most)
  const longer = new Map<number, Array<LongForm>>()
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
    const form = forms[at]
    if (form !== undefined && form.length > maskPrefixLength) {
      longer.set(state, [...(longer.get(state) ?? []), { bytes: form, borders: undefined }])
    }
  }
  link(next, ends, classes)
  for (let step = 0; step < next.length; step += 1) {
    const state = next[step] ?? 0
    next[step] = 2 * state * classes + (ends[state] === 0 ? 0 : 1)
  }
  return { next, classOf, classes, depth, ends, longer }
}

/** Bytes that are in no form are one class, 0, from which every state falls back to the start. */
const classesOf = (heads: ReadonlyArray<Buffer>): { readonly classOf: Uint8Array; readonly classes: number } => {
  const classOf = new Uint8Array(256)
  let classes = 1
  for (const head of heads) {
    for (const byte of head) {
      if (classOf[byte] !== 0) continue
      // All 256 bytes in forms would need 257 classes; valid UTF-8 has at most 243 of them.
      classOf[byte] = classes
      classes += 1
    }
  }
  return { classOf, classes }
}

/** Fills in where each state goes when the next byte is not the next of its form: to the longest end of it that begins one. */
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

/** A stretch of the bytes at hand: from, up to and without. */
type Stretch = [from: number, to: number]

export class Masker {
  private readonly automaton: Automaton
  /** The state of the automaton, as it stands in its table. */
  private step = 0
  /** What is held back, and what of it is known to be masked. */
  private kept: Buffer = Buffer.alloc(0)
  private masked: Array<Stretch> = []
  /** How many of the bytes held back have been let go already. */
  private released = 0
  /** Whether the last byte that went out was masked: what follows it at once belongs to the same mask. */
  private inMask = false
  /** The long forms of which more than their head has been seen, and how many bytes. */
  private followed: Array<{ readonly form: LongForm; seen: number }> = []

  constructor(automaton: Automaton) {
    this.automaton = automaton
  }

  /** What can be passed on after these bytes. */
  push(piece: Buffer): Buffer {
    const { classOf, classes, depth, next } = this.automaton
    const begin = this.kept.length
    const bytes = begin === 0 ? piece : Buffer.concat([this.kept, piece])
    // What every byte passes through is in variables: that is twice as fast.
    let [step, isFollowing] = [this.step, this.followed.length > 0]
    for (let at = begin; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0
      step = next[(step >> 1) + (classOf[byte] ?? 0)] ?? 0
      if (isFollowing) isFollowing = this.goOn(byte, at + 1)
      if ((step & 1) === 1) isFollowing = this.find((step >> 1) / classes, at + 1)
    }
    this.step = step
    this.masked = merged(this.masked)
    return this.pass(bytes, bytes.length - (depth[(step >> 1) / classes] ?? 0))
  }

  /** What is held back, at the end of the stream. */
  end(): Buffer {
    return this.pass(this.kept, this.kept.length)
  }

  /** Whether what is held back is so little that it may be let go: it would not give a value away. */
  mayRelease(): boolean {
    return this.kept.length > this.released && this.kept.length < minMaskedLength
  }

  /** Lets go what is held back; where it turns out to begin a value, only the rest of that is masked. */
  release(): Buffer {
    const { kept, masked } = this
    const out = this.pass(kept, kept.length)
    this.kept = kept
    this.masked = masked
    this.released = kept.length
    return out
  }

  /** A form ends before `to`. This and `goOn` tell whether any is followed. */
  private find(state: number, to: number): boolean {
    const { ends, longer } = this.automaton
    const length = ends[state] ?? 0
    mark(this.masked, to - length, to)
    for (const form of length < maskPrefixLength ? [] : (longer.get(state) ?? [])) {
      if (!this.followed.some((one) => one.form === form)) this.followed.push({ form, seen: maskPrefixLength })
    }
    return this.followed.length > 0
  }

  private goOn(byte: number, to: number): boolean {
    for (const one of this.followed) {
      one.seen = follow(one.form, one.seen, byte)
      if (one.seen >= maskPrefixLength) mark(this.masked, to - one.seen, to)
    }
    if (this.followed.some(({ seen }) => seen < maskPrefixLength)) {
      this.followed = this.followed.filter(({ seen }) => seen >= maskPrefixLength)
    }
    return this.followed.length > 0
  }

  /** Passes on what stands before `to`, without what is out already. */
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
      copy(Math.min(from, to))
      if (until <= at) continue
      if (!this.inMask) pieces.push(mask)
      this.inMask = true
      at = Math.min(until, to)
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

/** How many of the first bytes of a form the stream ends with, after one more byte. */
const follow = (form: LongForm, seen: number, byte: number): number => {
  const { bytes } = form
  const borders = (form.borders ??= bordersOf(bytes))
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

/** Adds a stretch; one that touches the last is made part of it, so that a long form is not as many as it has bytes. */
const mark = (stretches: Array<Stretch>, from: number, to: number): void => {
  const last = stretches.at(-1)
  if (last === undefined || from > last[1]) stretches.push([from, to])
  else [last[0], last[1]] = [Math.min(last[0], from), Math.max(last[1], to)]
}

/** Stretches in order, those that touch as one. */
const merged = (stretches: Array<Stretch>): Array<Stretch> => {
  if (stretches.length < 2) return stretches
  const result: Array<Stretch> = []
  for (const [from, to] of stretches.toSorted(([left], [right]) => left - right)) {
    const last = result.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else if (to > from) result.push([from, to])
  }
  return result
}
