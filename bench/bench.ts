/**
 * `npm run bench`: all benchmarks, or those that are named. Each measures its floor in
 * the same run.
 */
const benchmarks: Readonly<Record<string, () => Promise<unknown>>> = {
  acquire: () => import("./acquire.ts"),
  growth: () => import("./growth.ts"),
  held: () => import("./held.ts"),
  idle: () => import("./idle.ts"),
  million: () => import("./million.ts"),
  sink: () => import("./sink.ts"),
  start: () => import("./start.ts"),
  plot: () => import("./plot.ts")
}

/** These run only when they are named: one takes minutes, the other changes the documentation. */
const onlyNamed: ReadonlySet<string> = new Set(["million", "plot"])

const named = process.argv.slice(2)
for (const [name, run] of Object.entries(benchmarks)) {
  if ((named.length === 0 && !onlyNamed.has(name)) || named.includes(name)) await run()
}
