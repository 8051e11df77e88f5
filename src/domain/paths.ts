/**
 * A path as it stands in config.json: absolute, or in the home directory.
 */
import { isAbsolute, join } from "node:path"

/** The whole path; undefined for what is none. */
export const pathIn = (value: unknown, home: string): string | undefined => {
  if (typeof value !== "string") return undefined
  const whole = value.startsWith("~/") ? join(home, value.slice(2)) : value
  return isAbsolute(whole) ? whole : undefined
}
