/**
 * Memoizes a pure function of one argument, with a bounded cache that is cleared when it
 * is full. The results are shared, so they must not be mutated.
 */
export const memoize = <A, B>(maxEntries: number, compute: (argument: A) => B): ((argument: A) => B) => {
  const results = new Map<A, B>()
  return (argument) => {
    const known = results.get(argument)
    if (known !== undefined) return known
    const result = compute(argument)
    if (results.size >= maxEntries) results.clear()
    results.set(argument, result)
    return result
  }
}
