/**
 * Durations as people write them: `1d`, `2 weeks`, `1 h 30 min`. Go's units end at the hour,
 * and the daemon and the predecessor read no others. It imports nothing: the fast path uses it.
 */
const spelledUnits =
  /(\d+(?:\.\d*)?|\.\d+)[ ]?(?:(w|weeks?)|(d|days?)|(h|hrs?|hours?)|(m|mins?|minutes?)|(?:s|secs?|seconds?))(?![a-z])[ ]?/g

/** Replaces spelled units by Go's; leaves everything else to the parser. */
export const inGoUnits = (text: string): string =>
  text.replace(spelledUnits, (_, number: string, weeks?: string, days?: string, hours?: string, minutes?: string) => {
    const ofDay = weeks === undefined ? 24 : 168
    if (weeks ?? days) return `${Number(number) * ofDay}h`
    return `${number}${hours === undefined ? (minutes === undefined ? "s" : "m") : "h"}`
  })
