/**
 * Which supervisor a line means: that of this system, for this user or, with --system,
 * for the system. Root has no service of its own, and nobody else one of the system.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as os from "node:os"
import * as path from "node:path"
import { layerLaunchd } from "../../../service/launchd.ts"
import { Supervisor } from "../../../service/Supervisor.ts"
import { layerSystemd } from "../../../service/systemd.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { failUsage } from "../../command/CommandError.ts"
import { unsupportedPlatform } from "./serviceErrors.ts"

/** Whoever runs the command. */
export interface CurrentUser {
  readonly uid: number
  readonly name: string
  readonly home: string
}

/** Fails where there is no home directory to install anything in. */
export const currentUser = Effect.try({
  try: (): CurrentUser => {
    const { homedir, uid, username } = os.userInfo()
    return { uid, name: username, home: process.env["HOME"] || homedir }
  },
  // The system has no entry for this user.
  catch: () => undefined
}).pipe(
  Effect.catch(() =>
    Effect.succeed<CurrentUser>({
      uid: process.getuid?.() ?? 0,
      name: String(process.getuid?.() ?? ""),
      home: process.env["HOME"] ?? ""
    })
  ),
  Effect.filterOrFail(
    ({ home }) => path.isAbsolute(home),
    () =>
      unsupportedPlatform(
        "there is no home directory: HOME is not set to an absolute path",
        "Set HOME to your home directory"
      )
  )
)

/** `change`: whether files are to be written, which takes the right user. */
export const supervisorOf = Effect.fnUntraced(function* (args: DaemonArgs, change: "change" | "look") {
  const { home, name, uid } = yield* currentUser
  const system = args.flag("system")
  if (!system && (args.option("user") ?? args.option("group")) !== undefined) {
    return yield* failUsage("--user and --group are for a service of the system", "Add --system, or leave them out")
  }
  if (!system && uid === 0 && change === "change") {
    return yield* failUsage(
      "root has no service of its own",
      "As yourself, without sudo; or for the system: secrets daemon install --system --user NAME"
    )
  }
  if (system && uid !== 0 && change === "change") {
    return yield* failUsage("a service of the system takes root", "Run it with sudo, or leave --system out")
  }
  const supervisor = yield* Layer.build(layerFor(system, { home, name, uid })).pipe(
    Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
  )
  return yield* Effect.provide(Supervisor, supervisor)
})

const layerFor = (system: boolean, user: CurrentUser) => {
  const environment = process.env
  const { home, uid } = user
  switch (process.platform) {
    case "darwin":
      return system
        ? layerLaunchd({ uid: undefined, directory: "/Library/LaunchDaemons", environment })
        : layerLaunchd({ uid, directory: path.join(home, "Library/LaunchAgents"), environment })
    case "linux":
      return system
        ? layerSystemd({ user: undefined, directory: "/etc/systemd/system", environment })
        : layerSystemd({ user, directory: path.join(configHome(home), "systemd/user"), environment })
    default:
      return Layer.effect(
        Supervisor,
        Effect.fail(
          unsupportedPlatform(
            `there is no service for ${process.platform}: launchd of macOS and systemd of Linux are known`,
            "Have something else keep it alive, that runs: secrets serve"
          )
        )
      )
  }
}

const configHome = (home: string): string => {
  const named = process.env["XDG_CONFIG_HOME"] ?? ""
  return path.isAbsolute(named) ? named : path.join(home, ".config")
}
