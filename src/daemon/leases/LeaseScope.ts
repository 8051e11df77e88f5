/**
 * The leases that a transaction may look at, which it states before it runs.
 *
 * A layer whose leases are elsewhere brings those and no others. `ScopedTransaction` holds a
 * program to its scope; the layer with files has every lease in memory and does not look.
 */
export type LeaseScope =
  /** The leases of one pair. */
  | { readonly _tag: "Pair"; readonly secretName: string; readonly clientId: string }
  /** The leases with these ids; none for a transaction that only records. */
  | { readonly _tag: "Leases"; readonly ids: ReadonlyArray<string> }
  /** The active leases whose ids begin like this. */
  | { readonly _tag: "Prefix"; readonly prefix: string }
  | { readonly _tag: "Secret"; readonly secretName: string }
  /** At most so many of the leases whose expiry is not recorded yet. */
  | { readonly _tag: "Due"; readonly most: number }
  /** Every active lease, to end them together without looking at one. */
  | { readonly _tag: "All" }
  | { readonly _tag: "Everything" }

export const everything: LeaseScope = { _tag: "Everything" }

/** Returns whether a scope includes what a look asks for. */
export const covers = (scope: LeaseScope, look: LeaseScope): boolean => {
  switch (scope._tag) {
    case "Everything":
      return true
    case "Pair":
      return look._tag === "Pair" && look.secretName === scope.secretName && look.clientId === scope.clientId
    case "Secret":
      return (look._tag === "Secret" || look._tag === "Pair") && look.secretName === scope.secretName
    case "Leases":
      return look._tag === "Leases" && look.ids.every((id) => scope.ids.includes(id))
    case "Prefix":
      return look._tag === "Prefix" ? look.prefix === scope.prefix : isOfPrefix(scope.prefix, look)
    case "Due":
      return look._tag === "Due" && look.most <= scope.most
    case "All":
      return look._tag === "All"
  }
}

const isOfPrefix = (prefix: string, look: LeaseScope): boolean =>
  look._tag === "Leases" && look.ids.every((id) => id.startsWith(prefix))
