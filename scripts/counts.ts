/**
 * Prints how many tests the last `npm test` ran, in one plain line.
 */
import { readFileSync } from "node:fs"

const report = JSON.parse(readFileSync("dist/test-report.json", "utf8"))
process.stdout.write(`${report.numPassedTests} passed, ${report.numFailedTests} failed\n`)
