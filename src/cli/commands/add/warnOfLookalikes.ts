/** Prints a warning for each new name that looks like that of another secret. */
import { printNotice } from "../../command/Output.ts"

export const warnOfLookalikes = (pairs: ReadonlyArray<readonly [name: string, other: string]>): void => {
  for (const [name, other] of pairs) {
    printNotice(`secrets: warning: ${spelled(name)} looks like another secret, ${spelled(other)}`)
  }
}

/** Quotes a name so that two which look alike differ. */
const spelled = (name: string): string =>
  JSON.stringify(name).replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
