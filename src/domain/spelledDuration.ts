/**
 * Durations as people write them: `1d`, `2 weeks`, `1 h 30 min`. Go's units end at the hour,
 * and the daemon and the predecessor read no others. It imports nothing: the fast path uses it.
 */
const spelledUnits =
  /(\d+(?:\.\d*)?|\.\d+)[ ]?(?:(w|weeks?)|(d|days?)|(h|hrs?|hours?)|(m|mins?|minutes?)|(?:s|secs?|seconds?))(?![a-z])[ ]?/g

const goDuration = /^\+?((\d+\.?\d*|\.\d+)([num\u00b5\u03bc]?s|[mh]))+$/

/** Returns what is wrong with a --ttl that the daemon would misread or explain in words of its own; undefined for others. */
export const ttlProblem = (text: string): string | undefined => {
  // The daemon takes 0 and negative ones for the default, as the predecessor did.
  if (/^-|^(?=.*0)[^1-9]*$/.test(inGoUnits(text))) return "--ttl must be a duration above 0"
  if (/^[+.\d]+$/.test(text)) return "--ttl has no unit"
  return text === "" || goDuration.test(inGoUnits(text)) ? undefined : "--ttl must be a duration"
}

/** Replaces spelled units by Go's; leaves everything else to the parser. */
export const inGoUnits = (text: string): string =>
  text.replace(spelledUnits, (_, number: string, weeks?: string, days?: string, hours?: string, minutes?: string) => {
    const ofDay = weeks === undefined ? 24 : 168
    if (weeks ?? days) return `${Number(number) * ofDay}h`
    return `${number}${hours === undefined ? (minutes === undefined ? "s" : "m") : "h"}`
  })
