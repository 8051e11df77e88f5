/**
 * Quantiles of measured values, for scenarios and benchmarks.
 */

/** Returns the value below which the fraction `q` of the values lies; NaN if there are none. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)
