/**
 * What is logged, as lines of logfmt on standard error. It is for commands that do the
 * daemon's work; others have nothing to log, and it would take them longer to load
 * than their own part.
 */
import * as Logger from "effect/Logger"

export const stderrLogger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])
