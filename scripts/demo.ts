/**
 * `npm run demo`: replays the incident of 2026-02-22 and prints each step.
 */
import { replayIncident } from "../test/harness/incident.ts"

const print = (line: string) => void process.stdout.write(`${line}\n`)

print("The incident of 2026-02-22, replayed on this daemon:\n")
const after = await replayIncident((line) => print(`  ${line}`))
print(`
  leases acquired            ${after.acquired}
  leases replaced            ${after.replaced}
  active leases at the end   ${after.activeLeases}
  leases in leases.json      ${after.leasesInFile}
  the predecessor would hold ${after.predecessorWouldHold}
`)
