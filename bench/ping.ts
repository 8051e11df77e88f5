/**
 * Response times while the daemon does something else. A client requests the status every
 * millisecond; another does so at an idle daemon, as a control for the machine.
 */
import { runLoad } from "./load.ts"
import { rounded } from "./stats.ts"
import type { Subject } from "./subject.ts"

const ping = ({ socket }: Subject, seconds: number) =>
  runLoad({ socket, connections: 1, seconds, kind: "status", pairs: 1, pauseMillis: 1 })

/** Pings both daemons for some seconds while `work` keeps the busy one occupied. */
export const pingDuring = async (
  what: string,
  idle: Subject,
  busy: Subject,
  seconds: number,
  work: () => Promise<unknown>
) => {
  const [waits, control] = await Promise.all([ping(busy, seconds), ping(idle, seconds), work()])
  return {
    meanwhile: what,
    pings: waits.answers,
    "p99 ms": rounded(waits.p99),
    "max ms": rounded(waits.max),
    "over 10 ms": waits.long,
    "max ms when idle": rounded(control.max),
    "over 10 ms when idle": control.long
  }
}
