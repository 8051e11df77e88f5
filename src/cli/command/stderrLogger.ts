/**
 * Logs as logfmt on standard error, for `serve` and for crashes. It is a file of its own because loading it is slow.
 */
import * as Logger from "effect/Logger"
import { escapeJson } from "../../domain/escape.ts"

/** Logfmt quotes as JSON does, so the escapes of JSON fit. */
const escapedLogFmt = Logger.map(Logger.formatLogFmt, escapeJson)

export const stderrLogger = Logger.layer([Logger.withConsoleError(escapedLogFmt)])
