/**
 * What `exec` says on standard error about its program, in one line: why, and what was done.
 */
import { quote } from "../../../../domain/goText.ts"
import type { News, Report } from "./programStates.ts"

/** Returns the line for people. `isOver`: the program is gone already. */
export const reportText = (report: Report, isOver: boolean): string =>
  `${causeText(report.news)}; ${doneText(report, isOver)}`

/** Returns the line for programs. */
export const reportJson = ({ done, news, reason, signal }: Report): string =>
  JSON.stringify({ command: "secrets exec", because: news.because, secret: news.secretName, done, signal, reason })

const causeText = ({ because, secretName }: News): string => {
  const one = secretName === undefined ? "a secret" : quote(secretName)
  switch (because) {
    case "revoked":
    case "deleted":
      return secretName === undefined && because === "deleted" ? "all secrets were deleted" : `${one} was ${because}`
    case "changed":
      return `${one} has a new value`
    case "killswitch":
      return "every lease was revoked"
    case "locked":
      return "the store was locked"
    case "expired":
      return "a lease expired"
    case "daemon lost":
      return "the daemon did not answer for too long"
  }
}

const doneText = ({ done, reason, signal }: Report, isOver: boolean): string => {
  switch (done) {
    case "stop":
      return isOver ? "stopped the program" : "stopping the program"
    case "restart":
      return isOver ? "restarted the program" : "restarting the program"
    case "signal":
      return `sent ${signal} to the program`
    case "command":
      return "running the command of --on-revoke"
    case "command failed":
      return `the command of --on-revoke failed, so ${isOver ? "stopped" : "stopping"} the program`
    case "keep":
      return `the program keeps the old one: ${reason}`
    case "give up":
      return `restarted too often within a minute, so ${isOver ? "stopped" : "stopping"} the program`
  }
}
