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
  delete: () => import("./delete.ts").then((file) => file.deleteCommand),
  lease: async () => (await answering())((await import("./lease.ts")).lease),
  revoke: async () =>
    (await answering())((await import("./revoke.ts")).revoke, (await import("./revokeMany.ts")).revokeMany),
  env: () => import("./env.ts").then((file) => file.env),
  exec: () => import("./exec.ts").then((file) => file.exec),
  list: () => import("./list.ts").then((file) => file.list),
  rotate: () => import("./rotate.ts").then((file) => file.rotate),
  health: () => import("./health.ts").then((file) => file.health),
  daemon: () => import("./daemon.ts").then((file) => file.daemon),
  status: async () => (await answering())((await import("./status.ts")).status),
  audit: () => import("./audit.ts").then((file) => file.audit)
}

/** Makes a command of what only asks. */
const answering = () => import("./answer.ts").then((file) => file.answering)
