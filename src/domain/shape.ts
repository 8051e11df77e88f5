/**
 * Response validation: compares a reply, or what was read from a file, with an example of its shape.
 *
 * An object must have all members of the example and may have more. A list has items
 * shaped like its one example, or is a tuple of as many as there are examples. It replaces
 * a schema library, which would take longer to load than a query command to run.
 */

/** A member that may be missing. */
export class Optional<T> {
  readonly example: T
  constructor(example: T) {
    this.example = example
  }
}

export const optional = <T>(example: T): Optional<T> => new Optional(example)

/** A member that must have this value. */
export class Literal<T> {
  readonly just: T
  constructor(just: T) {
    this.just = just
  }
}

export const literal = <const T>(just: T): Literal<T> => new Literal(just)

export type Shape =
  | string
  | number
  | boolean
  | Optional<unknown>
  | Literal<unknown>
  | ReadonlyArray<Shape>
  | { readonly [name: string]: Shape }

/** The type of a value that has the shape of the example. */
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
              ? IsTuple<T> extends true
                ? { readonly [Place in keyof T]: Shaped<T[Place]> }
                : ReadonlyArray<Shaped<Item>>
              : { readonly [Name in keyof T]: Shaped<T[Name]> }

type IsTuple<T extends ReadonlyArray<unknown>> = number extends T["length"]
  ? false
  : T["length"] extends 1
    ? false
    : true

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
