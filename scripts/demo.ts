/**
 * `npm run demo`: the incident replayed, told as it happens.
 */
import { replayIncident } from "./incident.ts"

const say = (line: string) => void process.stdout.write(`${line}\n`)

say("The incident of 2026-02-22, replayed on this daemon:\n")
const after = await replayIncident((line) => say(`  ${line}`))
say(`
  leases acquired            ${after.acquired}
  leases replaced            ${after.replaced}
  active leases at the end   ${after.activeLeases}
  leases in leases.json      ${after.leasesInFile}
  the predecessor ended with ${after.predecessorWouldHold}
`)
