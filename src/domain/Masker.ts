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
export const shortestMasked = 4
/** A form is known by so many bytes. More would be held back longer, fewer are in other texts as well. */
export const knownBy = 64
/** Beyond it more values are not looked for: the table would need more than some 100 MB. */
const mostStates = 200_000

const mask = Buffer.from("***")

export interface Masker {
  /** What can be passed on after these bytes. */
  readonly push: (bytes: Buffer) => Buffer
  /** What is held back, at the end of the stream. */
  readonly end: () => Buffer
  /** Whether what is held back is so little that it may be let go: it would not give a value away. */
  readonly mayRelease: () => boolean
  /** Lets go what is held back; where it turns out to begin a value, only the rest of that is masked. */
  readonly release: () => Buffer
}

interface Automaton {
  /** For each state (a multiple of `classes`) and class of bytes, twice the next state, and one more if a form ends there. */
  readonly next: Int32Array
  readonly classOf: Uint8Array
  readonly classes: number
  /** By state number: how many bytes of a form have been seen, and the longest form that ends here. */
  readonly depth: Uint8Array
  readonly ends: Uint8Array
  /** The forms that are longer than what they are known by, by the state that knows them. */
  readonly longer: ReadonlyMap<number, ReadonlyArray<Buffer>>
}

/** Makes maskers for these forms: each stream needs one of its own. */
export const maskersOf = (forms: ReadonlyArray<Buffer>): (() => Masker) => {
  const automaton = build(forms)
  return () => maskerOf(automaton)
}

/** How many of the forms can be looked for. */
export const countThatFit = (forms: ReadonlyArray<Buffer>): number => {
  let states = 1
  const at = forms.findIndex((form) => (states += Math.min(form.length, knownBy)) > mostStates)
  return at < 0 ? forms.length : at
}

const build = (forms: ReadonlyArray<Buffer>): Automaton => {
  const heads = forms.map((form) => form.subarray(0, knownBy))
  const { classOf, classes } = classesOf(heads)
  const most = 1 + heads.reduce((sum, head) => sum + head.length, 0)
  const next = new Int32Array(most * classes)
  const depth = new Uint8Array(most)
  const ends = new Uint8Array(most)
  const longer = new Map<number, Array<Buffer>>()
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
    if (form !== undefined && form.length > knownBy) longer.set(state, [...(longer.get(state) ?? []), form])
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

const maskerOf = (automaton: Automaton): Masker => {
  const { classOf, classes, depth, ends, longer, next } = automaton
  let step = 0
  /** What is held back, and what of it is known to be masked. */
  let kept: Buffer = Buffer.alloc(0)
  let masked: Array<Stretch> = []
  /** How many of the bytes held back have been let go already. */
  let released = 0
  /** Whether the last byte that went out was masked: what follows it at once belongs to the same mask. */
  let inMask = false
  /** Long forms that go on: how many of their bytes have been seen. */
  let following = new Map<Buffer, number>()

  /** Follows a long form from a place on as far as it goes; gives where it stops. */
  const follow = (form: Buffer, seen: number, bytes: Buffer, from: number): number => {
    const most = Math.min(form.length - seen, bytes.length - from)
    let at = 0
    while (at < most && bytes[from + at] === form[seen + at]) at += 1
    if (at === most && seen + at < form.length) following.set(form, seen + at)
    return from + at
  }

  /** Passes on what stands before `to`, without what is out already. */
  const pass = (bytes: Buffer, to: number): Buffer => {
    const pieces: Array<Buffer> = []
    let at = released
    const copy = (until: number) => {
      if (until <= at) return
      pieces.push(bytes.subarray(at, until))
      at = until
      inMask = false
    }
    for (const [from, until] of masked) {
      if (from >= to) break
      copy(Math.min(from, to))
      if (until <= at) continue
      if (!inMask) pieces.push(mask)
      inMask = true
      at = Math.min(until, to)
    }
    copy(to)
    masked = masked.filter(([, until]) => until > to).map(([from, until]) => [Math.max(0, from - to), until - to])
    released = Math.max(0, released - to)
    kept = Buffer.from(bytes.subarray(to))
    const [only] = pieces
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
  }

  const push = (piece: Buffer): Buffer => {
    const begin = kept.length
    const bytes = begin === 0 ? piece : Buffer.concat([kept, piece])
    const running = new Map<Buffer, number>()
    const resumed = following
    following = new Map()
    for (const [form, seen] of resumed) {
      const stop = follow(form, seen, bytes, begin)
      masked.push([begin, stop])
      running.set(form, stop)
    }
    for (let at = begin; at < bytes.length; at += 1) {
      step = next[(step >> 1) + (classOf[bytes[at] ?? 0] ?? 0)] ?? 0
      if ((step & 1) === 0) continue
      const state = (step >> 1) / classes
      const length = ends[state] ?? 0
      masked.push([at + 1 - length, at + 1])
      if (length < knownBy) continue
      for (const form of longer.get(state) ?? []) {
        // One that is being followed is not followed a second time, or a form that repeats itself would cost its square.
        if ((running.get(form) ?? 0) > at) continue
        const stop = follow(form, knownBy, bytes, at + 1)
        masked.push([at + 1, stop])
        running.set(form, stop)
      }
    }
    masked = merged(masked)
    return pass(bytes, bytes.length - (depth[(step >> 1) / classes] ?? 0))
  }

  return {
    push,
    end: () => pass(kept, kept.length),
    mayRelease: () => kept.length > released && kept.length < shortestMasked,
    release: () => {
      const all = kept
      const stretches = masked
      const out = pass(all, all.length)
      kept = all
      masked = stretches
      released = all.length
      return out
    }
  }
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
