/**
 * A function that a busy daemon asks the same few things over and over: it remembers
 * its last answers, and forgets all of them when they become too many.
 *
 * The answer must depend on nothing but what is asked, and nobody may change it.
 */
export const memoize = <Asked, Answer>(most: number, work: (asked: Asked) => Answer): ((asked: Asked) => Answer) => {
  const answers = new Map<Asked, Answer>()
  return (asked) => {
    const known = answers.get(asked)
    if (known !== undefined) return known
    const answer = work(asked)
    if (answers.size >= most) answers.clear()
    answers.set(asked, answer)
    return answer
  }
}
