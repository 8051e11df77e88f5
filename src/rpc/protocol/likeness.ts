/**
 * Whether an answer has the form that is expected, told by an example of it.
 *
 * An object must have all the members of the example, each like the example's, and
 * may have more; a list holds things like its one example, or is a row of as many as
 * there are examples. `maybe` is for members that may be missing, `only` for those that
 * have one value. For commands, which have no time to load a schema library.
 */

/** A member that may be missing. */
export class Maybe<T> {
  readonly example: T
  constructor(example: T) {
    this.example = example
  }
}

export const maybe = <T>(example: T): Maybe<T> => new Maybe(example)

/** A member that must be just this. */
export class Only<T> {
  readonly just: T
  constructor(just: T) {
    this.just = just
  }
}

export const only = <const T>(just: T): Only<T> => new Only(just)

/** What an example is made of. */
export type Example =
  | string
  | number
  | boolean
  | Maybe<unknown>
  | Only<unknown>
  | ReadonlyArray<Example>
  | { readonly [name: string]: Example }

/** What is like the example. */
export type Like<T> =
  T extends Maybe<infer Inner>
    ? Like<Inner> | undefined
    : T extends Only<infer Value>
      ? Value
      : T extends string
        ? string
        : T extends number
          ? number
          : T extends boolean
            ? boolean
            : T extends ReadonlyArray<infer Item>
              ? IsRow<T> extends true
                ? { readonly [Place in keyof T]: Like<T[Place]> }
                : ReadonlyArray<Like<Item>>
              : { readonly [Name in keyof T]: Like<T[Name]> }

type IsRow<T extends ReadonlyArray<unknown>> = number extends T["length"] ? false : T["length"] extends 1 ? false : true

export const isLike = <const T extends Example>(value: unknown, example: T): value is Like<T> => matches(value, example)

const matches = (value: unknown, example: unknown): boolean => {
  if (example instanceof Maybe) return value === undefined || matches(value, example.example)
  if (example instanceof Only) return value === example.just
  if (Array.isArray(example)) {
    if (!Array.isArray(value) || (example.length > 1 && value.length !== example.length)) return false
    return value.every((item, place) => matches(item, example[example.length > 1 ? place : 0]))
  }
  if (typeof example !== "object" || example === null) return typeof value === typeof example
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return Object.entries(example).every(([name, member]) => matches(members.get(name), member))
}
