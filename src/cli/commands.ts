/**
 * All commands by name, in the order of the help. Each is loaded on demand, but for those of the fast path.
 */
import { type Command, type CommandSpec, type Flags } from "./command/Command.ts"
import { fullCommand } from "./command/QueryCommand.ts"
import { completionsCommand } from "./commands/completions/completions.ts"
import { deleteCommand } from "./commands/delete/delete.ts"
import { leaseCommand } from "./commands/lease.ts"
import { revokeCommand } from "./commands/revoke/revoke.ts"
import { statusCommand } from "./commands/status/status.ts"

export const commands: Readonly<Record<string, () => Promise<Command<never>>>> = {
  init: () => import("./commands/init/init.ts").then((file) => file.initCommand),
  serve: () => import("./commands/serve/serve.ts").then((file) => file.serveCommand),
  add: () => import("./commands/add/add.ts").then((file) => file.addCommand),
  update: () => import("./commands/add/update.ts").then((file) => file.updateCommand),
  delete: async () => fullCommand(deleteCommand, (await import("./commands/delete/askAndDelete.ts")).askAndDelete),
  lease: async () => fullCommand(leaseCommand),
  revoke: async () => fullCommand(revokeCommand, (await import("./commands/revoke/revokeSession.ts")).runRevokeSession),
  lock: () => import("./commands/lock/lock.ts").then((file) => file.lockCommand),
  unlock: () => import("./commands/lock/unlock.ts").then((file) => file.unlockCommand),
  runs: () => import("./commands/runs.ts").then((file) => file.runsCommand),
  leases: () => import("./commands/leases.ts").then((file) => file.leasesCommand),
  list: () => import("./commands/list.ts").then((file) => file.listCommand),
  show: () => import("./commands/show.ts").then((file) => file.showCommand),
  backup: () => import("./commands/backup/backup.ts").then((file) => file.backupCommand),
  restore: () => import("./commands/backup/restore.ts").then((file) => file.restoreCommand),
  env: () => import("./commands/project/env.ts").then((file) => file.envCommand),
  exec: () => import("./commands/project/exec.ts").then((file) => file.execCommand),
  inject: () => import("./commands/inject/inject.ts").then((file) => file.injectCommand),
  helper: () => import("./commands/helper/helper.ts").then((file) => file.helperCommand),
  allow: () => import("./commands/project/allow.ts").then((file) => file.allowCommand),
  disallow: () => import("./commands/project/disallow.ts").then((file) => file.disallowCommand),
  requests: () => import("./commands/requests/requests.ts").then((file) => file.requestsCommand),
  approve: () => import("./commands/requests/approve.ts").then((file) => file.approveCommand),
  deny: () => import("./commands/requests/deny.ts").then((file) => file.denyCommand),
  policy: () => import("./commands/policy/policy.ts").then((file) => file.policyCommand),
  mcp: () => import("./commands/mcp/mcp.ts").then((file) => file.mcpCommand),
  proxy: () => import("./commands/proxy/proxy.ts").then((file) => file.proxyCommand),
  exposure: () => import("./commands/exposure/exposure.ts").then((file) => file.exposureCommand),
  rotate: () => import("./commands/rotate.ts").then((file) => file.rotateCommand),
  health: () => import("./commands/health.ts").then((file) => file.healthCommand),
  scan: () => import("./commands/scan/scan.ts").then((file) => file.scanCommand),
  cleanup: () => import("./commands/cleanup/cleanup.ts").then((file) => file.cleanupCommand),
  team: () => import("./commands/team/team.ts").then((file) => file.teamCommand),
  daemon: () => import("./commands/service/daemon.ts").then((file) => file.daemonCommand),
  status: async () => fullCommand(statusCommand, (await import("./commands/status/statusSession.ts")).runStatusSession),
  doctor: () => import("./commands/doctor/doctor.ts").then((file) => file.doctorCommand),
  audit: () => import("./commands/audit/audit.ts").then((file) => file.auditCommand),
  completions: async () =>
    fullCommand(
      completionsCommand,
      (await import("./commands/completions/completionScript.ts")).completionScript(allSpecs)
    ),
  version: () => import("./commands/version.ts").then((file) => file.versionCommand)
}

/** Returns what loads the command. */
export const loaderOf = (name: string): (() => Promise<Command<never>>) | undefined =>
  Object.hasOwn(commands, name) ? commands[name] : undefined

/** Returns every spec, in the order of the help. */
export const allSpecs = async (): Promise<ReadonlyArray<CommandSpec<Flags>>> =>
  (await import("./builtSpecs.ts")).builtSpecs ?? loadSpecs()

const loadSpecs = async () => {
  const all: ReadonlyArray<Command<never>> = await Promise.all(Object.values(commands).map((load) => load()))
  return all.map(({ spec }) => spec)
}
