/**
 * The timer of commands that use no Effect. `sendRequests` is tested with another.
 */
import type { After } from "./sendRequests.ts"

export const after: After = (millis, run) => {
  // oxlint-disable-next-line no-restricted-globals -- the one timer of commands that load no library
  const timer = setTimeout(run, millis)
  return () => clearTimeout(timer)
}
