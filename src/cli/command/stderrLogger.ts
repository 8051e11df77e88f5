/**
 * Logs as logfmt on standard error, for the commands that do the daemon's work and for
 * crashes. It is a file of its own because loading it is slow.
 */
import * as Logger from "effect/Logger"

export const stderrLogger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])
