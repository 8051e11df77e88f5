/**
 * What this daemon is: facts that its status reports. `Daemon.ts` provides it to the requests.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Timestamp } from "../../domain/Timestamp.ts"
import type { Role } from "../../domain/Caller.ts"
import type { StartedBy } from "./isSupervised.ts"

/** A socket as the status shows it. */
export interface SocketInfo {
  readonly path: string
  readonly role: Role
  /** In octal. */
  readonly mode: string
  readonly group: string | undefined
}

export class DaemonInfo extends Context.Service<
  DaemonInfo,
  {
    readonly pid: number
    readonly startedAt: Timestamp
    readonly startedBy: StartedBy
    readonly sockets: ReadonlyArray<SocketInfo>
    /** The name of this machine in its team; undefined if it is in none. */
    readonly team?: string | undefined
    /** Undefined if no heartbeat is configured. */
    readonly heartbeat: Effect.Effect<object | undefined>
    /** The recent starts after a crash; undefined if there were none. */
    readonly uncleanStarts: Effect.Effect<object | undefined>
  }
>()("agent-secrets/DaemonInfo") {}
