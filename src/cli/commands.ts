/**
 * All the commands, by name, in the order they are shown. Each is loaded when it is
 * asked for.
 */
import type { Command } from "./command/Command.ts"

export const commands: Readonly<Record<string, () => Promise<Command<never>>>> = {
  init: () => import("./commands/init/init.ts").then((file) => file.initCommand),
  serve: () => import("./commands/serve/serve.ts").then((file) => file.serveCommand),
  add: () => import("./commands/add/add.ts").then((file) => file.addCommand),
  update: () => import("./commands/add/update.ts").then((file) => file.updateCommand),
  delete: async () => (await answering())((await import("./commands/delete.ts")).deleteCommand),
  lease: async () => (await answering())((await import("./commands/lease.ts")).leaseCommand),
  revoke: async () =>
    (await answering())(
      (await import("./commands/revoke/revoke.ts")).revokeCommand,
      (await import("./commands/revoke/revokeMany.ts")).revokeMany
    ),
  leases: () => import("./commands/leases.ts").then((file) => file.leasesCommand),
  list: async () => (await answering())((await import("./commands/list.ts")).listCommand),
  env: () => import("./commands/project/env.ts").then((file) => file.envCommand),
  exec: () => import("./commands/project/exec.ts").then((file) => file.execCommand),
  rotate: () => import("./commands/rotate.ts").then((file) => file.rotateCommand),
  health: async () => (await answering())((await import("./commands/health.ts")).healthCommand),
  scan: () => import("./commands/scan/scan.ts").then((file) => file.scanCommand),
  cleanup: () => import("./commands/cleanup/cleanup.ts").then((file) => file.cleanupCommand),
  daemon: () => import("./commands/service/daemon.ts").then((file) => file.daemonCommand),
  status: async () =>
    (await answering())(
      (await import("./commands/status/status.ts")).statusCommand,
      (await import("./commands/status/statusSession.ts")).runStatusSession,
      (await import("./commands/status/statusSession.ts")).describeLastRun
    ),
  audit: () => import("./commands/audit/audit.ts").then((file) => file.auditCommand),
  completions: async () =>
    (await answering())(
      (await import("./commands/completions/completions.ts")).completionsCommand,
      (await import("./commands/completions/completionScript.ts")).completionScript
    ),
  version: () => import("./commands/version.ts").then((file) => file.versionCommand)
}

const aliases: ReadonlyMap<string, string> = new Map([["rm", "delete"]])

/** The name of a command, whatever word stands for it. */
export const resolveAlias = (given: string): string => aliases.get(given) ?? given

/** What loads the command that goes by this word; undefined if none does. */
export const loaderOf = (given: string): (() => Promise<Command<never>>) | undefined => {
  const name = resolveAlias(given)
  return Object.hasOwn(commands, name) ? commands[name] : undefined
}

/** Makes a command of what only asks. */
const answering = () => import("./command/fromQuery.ts").then((file) => file.fromQuery)
