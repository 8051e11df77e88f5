/**
 * Lets a command do without a daemon: where none listens, the result is undefined. With
 * --socket, the daemon may be that of another store than the one in config.json.
 */
import * as Effect from "effect/Effect"
import type { ClientError } from "../../../rpc/client/client.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"

export const absentDaemon =
  (args: GlobalArgs) =>
  <A>(asked: Effect.Effect<A, ClientError>): Effect.Effect<A | undefined, ClientError> =>
    Effect.catchTag(asked, "DaemonUnavailable", (fault) =>
      args.option("socket") === undefined && fault.code !== "EACCES" && fault.code !== "EPERM"
        ? Effect.succeed(undefined)
        : Effect.fail(fault)
    )
