/**
 * Prints the test counts of the last `npm test` in one line, for CI.
 */
import { readFileSync } from "node:fs"

const report = JSON.parse(readFileSync("dist/test-report.json", "utf8"))
process.stdout.write(`${report.numPassedTests} passed, ${report.numFailedTests} failed\n`)
