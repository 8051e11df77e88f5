/**
 * Whether an answer has the form that is expected, told by an example of it.
 *
 * An object must have all the members of the example, each like the example's, and
 * may have more; a list holds things like its one example, or is a row of as many as
 * there are examples. `maybe` is for members that may be missing, `only` for those that
 * have one value. For commands, which have no time to load a schema library.
 */

/** A member that may be missing. */
export class Optional<T> {
  readonly example: T
  constructor(example: T) {
    this.example = example
  }
}

export const optional = <T>(example: T): Optional<T> => new Optional(example)

/** A member that must be just this. */
export class Literal<T> {
  readonly just: T
  constructor(just: T) {
    this.just = just
  }
}

export const literal = <const T>(just: T): Literal<T> => new Literal(just)

/** What an example is made of. */
export type Shape =
  | string
  | number
  | boolean
  | Optional<unknown>
  | Literal<unknown>
  | ReadonlyArray<Shape>
  | { readonly [name: string]: Shape }

/** What is like the example. */
export type Shaped<T> =
  T extends Optional<infer Inner>
    ? Shaped<Inner> | undefined
    : T extends Literal<infer Value>
      ? Value
      : T extends string
        ? string
        : T extends number
          ? number
          : T extends boolean
            ? boolean
            : T extends ReadonlyArray<infer Item>
              ? IsRow<T> extends true
                ? { readonly [Place in keyof T]: Shaped<T[Place]> }
                : ReadonlyArray<Shaped<Item>>
              : { readonly [Name in keyof T]: Shaped<T[Name]> }

type IsRow<T extends ReadonlyArray<unknown>> = number extends T["length"] ? false : T["length"] extends 1 ? false : true

export const matchesShape = <const T extends Shape>(value: unknown, example: T): value is Shaped<T> =>
  matches(value, example)

const matches = (value: unknown, example: unknown): boolean => {
  if (example instanceof Optional) return value === undefined || matches(value, example.example)
  if (example instanceof Literal) return value === example.just
  if (Array.isArray(example)) {
    if (!Array.isArray(value) || (example.length > 1 && value.length !== example.length)) return false
    return value.every((item, place) => matches(item, example[example.length > 1 ? place : 0]))
  }
  if (typeof example !== "object" || example === null) return typeof value === typeof example
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return Object.entries(example).every(([name, member]) => matches(members.get(name), member))
}
