/**
 * How the daemon ended the last time, for a person: what its exit status means, and
 * what helps where the cause lasts.
 */
import { exitStatus } from "../domain/exitStatus.ts"
import type { LastExit } from "./Supervisor.ts"

export const describeExit = (end: LastExit): string => {
  if ("signal" in end) return `killed by ${end.signal}`
  const meaning = meanings.get(end.status)?.[0]
  return `exit status ${end.status}${meaning === undefined ? "" : `, ${meaning}`}`
}

/** What to do where its last end has a lasting cause. */
export const exitHint = (end: LastExit | undefined): string | undefined =>
  end === undefined || "signal" in end ? undefined : meanings.get(end.status)?.[1]

const meanings: ReadonlyMap<number, readonly [meaning: string, fix: string]> = new Map([
  [
    exitStatus.unreadableStore,
    ["the store cannot be read", "secrets serve, run by hand, says which file and why; then: secrets daemon start"]
  ],
  [
    exitStatus.cannotCreate,
    [
      "a file or the socket cannot be made",
      "Look at the free space and the permissions; secrets daemon logs says where"
    ]
  ],
  [
    exitStatus.alreadyRunning,
    [
      "another daemon is at work there",
      "Stop that one; the service takes over by itself. secrets daemon logs says its pid"
    ]
  ],
  [
    exitStatus.badConfig,
    ["a setting is wrong", "secrets daemon logs says which; correct it, and: secrets daemon start"]
  ],
  // Of systemd's own, those that an installation can meet.
  [203, ["the program cannot be run", "Install it again from where it is now: secrets daemon install"]],
  [
    217,
    [
      "there is no such user",
      "Make the account, or install it for another: secrets daemon install --system --user NAME"
    ]
  ],
  [226, ["its view of the file system cannot be set up", "Look whether its directories are there: secrets init"]]
])
