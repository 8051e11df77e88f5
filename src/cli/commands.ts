/**
 * All the commands, by name, in the order they are shown. Each is loaded when it is
 * asked for.
 */
import type { Command } from "./command/Command.ts"

export const commands: Readonly<Record<string, () => Promise<Command<never>>>> = {
  init: () => import("./commands/init/init.ts").then((file) => file.init),
  serve: () => import("./commands/serve/serve.ts").then((file) => file.serve),
  add: () => import("./commands/add/add.ts").then((file) => file.add),
  update: () => import("./commands/add/update.ts").then((file) => file.update),
  delete: async () => (await answering())((await import("./commands/delete.ts")).deleteCommand),
  lease: async () => (await answering())((await import("./commands/lease.ts")).lease),
  revoke: async () =>
    (await answering())(
      (await import("./commands/revoke/revoke.ts")).revoke,
      (await import("./commands/revoke/revokeMany.ts")).revokeMany
    ),
  leases: () => import("./commands/leases.ts").then((file) => file.leases),
  list: async () => (await answering())((await import("./commands/list.ts")).list),
  env: () => import("./commands/project/env.ts").then((file) => file.env),
  exec: () => import("./commands/project/exec.ts").then((file) => file.exec),
  rotate: () => import("./commands/rotate.ts").then((file) => file.rotate),
  health: async () => (await answering())((await import("./commands/health.ts")).health),
  scan: () => import("./commands/scan/command.ts").then((file) => file.scan),
  cleanup: () => import("./commands/cleanup/cleanup.ts").then((file) => file.cleanup),
  daemon: () => import("./commands/service/daemon.ts").then((file) => file.daemon),
  status: async () =>
    (await answering())(
      (await import("./commands/status/status.ts")).status,
      (await import("./commands/status/statusSession.ts")).statusSession,
      (await import("./commands/status/lastRun.ts")).lastRun
    ),
  audit: () => import("./commands/audit/audit.ts").then((file) => file.audit),
  completions: async () =>
    (await answering())(
      (await import("./commands/completions/completions.ts")).completions,
      (await import("./commands/completions/completionScript.ts")).completionScript
    ),
  version: () => import("./commands/version.ts").then((file) => file.versionCommand)
}

const aliases: ReadonlyMap<string, string> = new Map([["rm", "delete"]])

/** The name of a command, whatever word stands for it. */
export const nameOf = (given: string): string => aliases.get(given) ?? given

/** What loads the command that goes by this word; undefined if none does. */
export const loaderOf = (given: string): (() => Promise<Command<never>>) | undefined => {
  const name = nameOf(given)
  return Object.hasOwn(commands, name) ? commands[name] : undefined
}

/** Makes a command of what only asks. */
const answering = () => import("./command/answer.ts").then((file) => file.answering)
