/**
 * secrets team init, identity and migrate: what is needed before the daemon of a machine serves
 * a team.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { replaceFile } from "../../../daemon/files/durableFile.ts"
import { readIdentity } from "../../../daemon/secrets/ageFile.ts"
import { SecretStore } from "../../../daemon/secrets/SecretStore.ts"
import { type AdminAddress, openAdmin } from "../../../daemon/team/administer.ts"
import { escapeText, unescapeText } from "../../../daemon/team/escapeText.ts"
import { publicKeyOf, seal, signingKey, signingPurpose } from "../../../daemon/team/sealedSecret.ts"
import { teamJoinFact } from "../../../domain/AuditEntry.ts"
import type { Config } from "../../../domain/Config.ts"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { loadConfig } from "../../command/settings.ts"
import { withoutDaemon } from "../backup/withoutDaemon.ts"
import type { TeamArgs } from "./team.ts"
import { adminAddress, databaseFailed, teamError } from "./teamProblems.ts"

const machineName = Effect.fnUntraced(function* (args: TeamArgs) {
  const given = args.option("name") ?? os.hostname().split(".")[0]?.toLowerCase() ?? ""
  if (/^[a-z0-9][a-z0-9-]{0,39}$/.test(given)) return given
  return yield* failUsage("the name of the machine is not one of a-z, 0-9 and -", "Name it: --name m1")
})

/** Returns the entry of this machine in `team.machines`, and its signing key. */
const identityOf = Effect.fnUntraced(function* (config: Config, name: string) {
  const seed = yield* Effect.flatMap(SecretStore, ({ derive }) => Effect.fromResult(derive(signingPurpose)))
  const key = signingKey(seed)
  const { recipient } = yield* readIdentity(fs.readFileSync(config.identityPath))
  return { key, machine: { name, recipient, key: publicKeyOf(key) } }
})

export const showIdentity = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  const name = config.team?.name ?? (yield* machineName(args))
  const store = { ...config, team: undefined }
  const { machine } = yield* withoutDaemon(store, { command: "team", create: true }, identityOf(config, name)).pipe(
    Effect.mapError(storeFailed)
  )
  return { lines: ["Add this to team.machines on every machine:", JSON.stringify(machine)], result: machine }
})

export const initTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  if (config.team !== undefined) {
    const why = "config.json has a section team"
    return yield* teamError(
      "this machine is in a team",
      why,
      "Leave it first: secrets team leave",
      exitStatus.cannotCreate
    )
  }
  const address = yield* adminAddress(args)
  const name = yield* machineName(args)
  const initialize = Effect.scoped(join(config, name, address))
  return yield* withoutDaemon(config, { command: "team", create: true }, initialize).pipe(Effect.mapError(storeFailed))
})

const join = Effect.fnUntraced(function* (config: Config, name: string, address: AdminAddress) {
  const audit = yield* AuditLog
  const { key, machine } = yield* identityOf(config, name)
  const failed = databaseFailed("cannot make this machine a member of the team")
  const admin = yield* Effect.mapError(openAdmin(address), failed)
  const isNew = yield* Effect.mapError(admin.create, failed)
  const url = machineUrl(address.url, name)
  const position = yield* audit.append([teamJoinFact(`this machine is ${name} in the team`)])
  const password = Redacted.make(randomBytes(24).toString("base64url"))
  const added = admin.addMachine({ name, role: url.username, password, seq: position.seq, hash: position.line })
  yield* Effect.mapError(added, failed)
  const passwordFile = path.join(config.directory, "team.password")
  const line = `*:*:*:${url.username}:${Redacted.value(password)}\n`
  yield* replaceFile(passwordFile, [Buffer.from(line, "utf8")])

  const secrets = yield* SecretStore
  const names = yield* secrets.names
  const sealed = yield* Effect.forEach(names, (one) =>
    Effect.gen(function* () {
      const secret = yield* Effect.fromResult(secrets.get(one))
      const file = yield* seal({ ...secret, foreign: {} }, 1, { by: name, key, machines: [machine] })
      return { name: escapeText(one), sealed: Buffer.from(file).toString("base64") }
    })
  )
  const imported = (yield* Effect.mapError(admin.addSecrets(sealed), failed)).map(unescapeText)
  const left = names.filter((one) => !imported.includes(one))
  const ca = address.ca === undefined ? {} : { ca: address.ca }
  const team = { name, url: url.href, ...ca, password_file: passwordFile, machines: [machine] }
  return {
    lines: [
      `${isNew ? "created the team, and added" : "added"} this machine as ${name}; ${counted(imported.length, "secret")} put in`,
      ...(left.length === 0 ? [] : [`not put in, because the team has others of these names: ${left.join(", ")}`]),
      "Add this to config.json, with the entries of the other machines in machines, and start the daemon:",
      ...`"team": ${JSON.stringify(team, null, 2)}`.split("\n")
    ],
    result: { created: isNew, imported: imported.length, not_imported: left, team }
  }
})

/** Returns the URL of the machine: the server and the database of the given one, with the role of the machine. */
const machineUrl = (adminUrl: URL, name: string): URL => {
  const url = new URL(adminUrl)
  url.username = `as_${name.replaceAll("-", "_")}`
  return url
}

const storeFailed = (error: { readonly message: string }) =>
  error instanceof CommandError
    ? error
    : teamError("cannot use the store of this machine", error.message, "See what it needs: secrets doctor")

export const migrateTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const address = yield* adminAddress(args)
  const failed = databaseFailed("cannot bring the team's database up to date")
  const admin = yield* Effect.mapError(openAdmin(address), failed)
  yield* Effect.mapError(admin.migrate, failed)
  return { lines: ["the functions of the database are those of this version"], result: { migrated: true } }
}, Effect.scoped)
