/** Why a team's database takes no change. Nothing was issued and nothing was changed. */
import * as Schema from "effect/Schema"

/** The database does not answer, or does not take entries of this machine. */
export class TeamAway extends Schema.TaggedError<TeamAway>()("TeamAway", { reason: Schema.String }) {
  override get message() {
    return `nothing was issued or changed, because the team's database is away: ${this.reason}`
  }
}

/** Why a committed lease is not handed out: another process may have the place of this one since. */
export const lateReason = "the answer came too late"

/** Another machine has changed what a batch was made from: it looks again. */
export class TeamChanged extends Schema.TaggedError<TeamChanged>()("TeamChanged", {}) {
  override get message() {
    return "nothing was changed, because another machine of the team changed the same at the same time"
  }
}
