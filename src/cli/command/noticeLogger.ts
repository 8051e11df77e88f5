/**
 * Prints what the daemon's work logs as notices of a command, for the commands that do it without
 * a daemon.
 */
import * as Logger from "effect/Logger"
import { printNotice } from "./Output.ts"

export const noticeLogger = Logger.layer([
  Logger.make(({ message }) => printNotice(`secrets: ${[message].flat().map(String).join(" ")}`))
])
