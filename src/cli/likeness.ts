/**
 * Whether an answer has the form that is expected, told by an example of it.
 *
 * An object must have all the members of the example, each like the example's, and
 * may have more; a list holds things like its one example. `maybe` is for members
 * that may be missing. For commands that have no time to load a schema library.
 */

/** A member that may be missing. */
export class Maybe<T> {
  readonly example: T
  constructor(example: T) {
    this.example = example
  }
}

export const maybe = <T>(example: T): Maybe<T> => new Maybe(example)

/** What is like the example. */
export type Like<T> =
  T extends Maybe<infer Inner>
    ? Like<Inner> | undefined
    : T extends string
      ? string
      : T extends number
        ? number
        : T extends boolean
          ? boolean
          : T extends ReadonlyArray<infer Item>
            ? ReadonlyArray<Like<Item>>
            : { readonly [Name in keyof T]: Like<T[Name]> }

export const isLike = <const T>(value: unknown, example: T): value is Like<T> => {
  if (example instanceof Maybe) return value === undefined || isLike(value, example.example)
  if (Array.isArray(example)) return Array.isArray(value) && value.every((item) => isLike(item, example[0]))
  if (typeof example !== "object" || example === null) return typeof value === typeof example
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return Object.entries(example).every(([name, member]) => isLike(members.get(name), member))
}
