/**
 * What a client meets while something else goes on at the daemon: it asks for the
 * status each millisecond. A second daemon, at which nothing goes on, is asked at
 * the same time: what it shows as well is the machine.
 */
import { runLoad } from "./load.ts"
import type { Subject } from "./subject.ts"

const digits = (value: number, count = 2): number => Number(value.toFixed(count))

const ping = ({ socket }: Subject, forSeconds: number) =>
  runLoad({ socket, connections: 1, seconds: forSeconds, kind: "status", pairs: 1, pauseMillis: 1 })

/** What a ping meets while something goes on at the large daemon, and what at the small one where nothing does. */
export const meanwhile = async (
  what: string,
  small: Subject,
  large: Subject,
  forSeconds: number,
  work: () => Promise<unknown>
) => {
  const [waits, control] = await Promise.all([ping(large, forSeconds), ping(small, forSeconds), work()])
  return {
    meanwhile: what,
    pings: waits.answers,
    "p99 ms": digits(waits.p99),
    "longest ms": digits(waits.max),
    "beyond 10 ms": waits.long,
    "longest at the idle daemon ms": digits(control.max),
    "beyond 10 ms there": control.long
  }
}
