/**
 * The processor time of this process, which other processes on the machine do not change.
 */

/** Returns the milliseconds of processor time that some work takes. */
export const cpuMillis = (work: () => unknown): number => {
  const begun = process.cpuUsage()
  work()
  const { system, user } = process.cpuUsage(begun)
  return (user + system) / 1_000
}
