/** Waits with a limit, for tests of other processes: what never happens fails with its name instead of hanging. */
const limit = 30_000

/** Waits for what is named, and fails if it takes too long. */
export const within = async <A>(what: string, waited: Promise<A>, millis = limit): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_done, fail) => {
    timer = setTimeout(() => fail(new Error(`waited ${millis / 1000} s for ${what}`)), millis)
  })
  try {
    return await Promise.race([waited, late])
  } finally {
    clearTimeout(timer)
  }
}
