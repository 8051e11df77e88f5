/**
 * All the commands, by name, in the order they are shown. Each is loaded when it is
 * asked for.
 */
import type { Command } from "./Command.ts"

export const commands: Readonly<Record<string, () => Promise<Command<never>>>> = {
  init: () => import("./init.ts").then((file) => file.init),
  serve: () => import("./serve.ts").then((file) => file.serve),
  add: () => import("./add.ts").then((file) => file.add),
  update: () => import("./update.ts").then((file) => file.update),
  delete: async () => (await answering())((await import("./delete.ts")).deleteCommand),
  lease: async () => (await answering())((await import("./lease.ts")).lease),
  revoke: async () =>
    (await answering())((await import("./revoke.ts")).revoke, (await import("./revokeMany.ts")).revokeMany),
  leases: () => import("./leases.ts").then((file) => file.leases),
  list: async () => (await answering())((await import("./list.ts")).list),
  env: () => import("./env.ts").then((file) => file.env),
  exec: () => import("./exec.ts").then((file) => file.exec),
  rotate: () => import("./rotate.ts").then((file) => file.rotate),
  health: async () => (await answering())((await import("./health.ts")).health),
  scan: () => import("./scan.ts").then((file) => file.scan),
  cleanup: () => import("./cleanup.ts").then((file) => file.cleanup),
  daemon: () => import("./daemon.ts").then((file) => file.daemon),
  status: async () =>
    (await answering())(
      (await import("./status.ts")).status,
      (await import("./statusSession.ts")).statusSession,
      (await import("./lastRun.ts")).lastRun
    ),
  audit: () => import("./audit.ts").then((file) => file.audit),
  completions: async () =>
    (await answering())(
      (await import("./completions.ts")).completions,
      (await import("./completionScript.ts")).completionScript
    ),
  version: () => import("./version.ts").then((file) => file.versionCommand)
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
const answering = () => import("./answer.ts").then((file) => file.answering)
