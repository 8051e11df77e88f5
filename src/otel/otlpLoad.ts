/**
 * What waits for a collector, and what became of the rest: how many are let in, and
 * how many of them arrived. It knows what Effect's exporter does with what it holds,
 * and does not tell.
 *
 * To refuse one costs a few comparisons. What is let in is bounded by the second, so that
 * the work of sending is, however many leases there are; and by number and length
 * altogether, so that the memory is.
 */

/** What may wait: the number is the specification's default. */
const mostWaiting = 2048
/** Characters of what waits. Names may have 16 KiB; ordinary events have some 200. */
const mostCharacters = 1024 * 1024

const second = 1000

/** Half of the room is for what is more than routine; what is rare, as the end of the daemon is, is always let in. */
export type Rank = "routine" | "usual" | "rare"

export class Load {
  /** What was wrong with the last answer of the collector. */
  failure: string | undefined
  /** When it last failed, for whoever asks. */
  lastFailure: { readonly at: string; readonly reason: string } | undefined
  /** What the request under way, or the last one, took with it. */
  taken = 0
  /** What was let in since. */
  waiting = 0
  sent = 0
  /** What never arrived: it was not let in, or was lost on the way. */
  lost = 0
  /** How many of those the collector knows of. */
  told = 0
  failing = false
  private answered = false
  private offered = 0
  private telling = 0
  private characters = 0
  private window = { second: 0, count: 0 }
  private readonly perSecond: number

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** Lets one more in at `now`, in milliseconds; false if there is no room. */
  admit(rank: Rank, characters: number, now: number): boolean {
    const current = Math.floor(now / second)
    if (current !== this.window.second) {
      this.window.second = current
      this.window.count = 0
    }
    const part = rank === "routine" ? 0.5 : 1
    const fits =
      rank === "rare" ||
      (this.window.count < this.perSecond * part &&
        this.waiting < mostWaiting * part &&
        this.characters + characters <= mostCharacters * part)
    if (fits) {
      this.window.count += 1
      this.waiting += 1
      this.characters += characters
    } else this.lost += 1
    return fits
  }

  /** What waits goes into a request, with the word that `telling` were lost, unless that is 0. */
  begin(telling: number): void {
    this.offered = this.waiting
    this.waiting = 0
    this.characters = 0
    this.taken = 0
    this.telling = telling
    this.answered = false
  }

  /** Hears of an answer: undefined if it was a good one, else what was wrong. */
  hear(failure: string | undefined): void {
    this.failure = failure
    this.answered = true
  }

  /** Counts what became of the request; tells whether that is a change. `finished` is false if it was broken off. */
  settle(finished: boolean): "works" | "fails" | undefined {
    if (this.taken === 0) {
      // Not even tried: the exporter leaves the collector alone, and throws away what it is given.
      this.lost += this.offered
      return undefined
    }
    const arrived = finished && this.answered && this.failure === undefined
    if (arrived) {
      this.sent += this.taken
      this.told += this.telling
    } else this.lost += this.taken - (this.telling === 0 ? 0 : 1)
    if (!arrived && finished) {
      // The exporter has thrown away what came while it tried.
      this.lost += this.waiting
      this.waiting = 0
      this.characters = 0
    }
    if (this.failing === !arrived) return undefined
    this.failing = !arrived
    return arrived ? "works" : "fails"
  }
}
