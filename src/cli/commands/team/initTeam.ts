/** secrets team init and migrate: what the administrator of the database does for a team, to found it and to bring it up to date. */
import { generateX25519Identity, identityToRecipient } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes, randomUUID } from "node:crypto"
import * as path from "node:path"
import { replaceFile } from "../../../daemon/files/durableFile.ts"
import { type AdminAddress, openAdmin, roleStatements } from "../../../daemon/team/administer.ts"
import { fingerprint } from "../../../daemon/team/fingerprint.ts"
import { noMembers, roleOf, statementHash } from "../../../daemon/team/members.ts"
import { readSigner, signStatement } from "../../../daemon/team/signer.ts"
import type { Config } from "../../../domain/Config.ts"
import { counted } from "../../../domain/counted.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { loadConfig } from "../../command/settings.ts"
import { withoutDaemon } from "../backup/withoutDaemon.ts"
import { becomeMember, sectionLines, type TeamSection } from "./joinTeam.ts"
import { machineName } from "./machineName.ts"
import type { TeamArgs } from "./teamFlags.ts"
import { adminAddress, databaseFailed, refuseMember, storeFailed, teamError } from "./teamProblems.ts"

export const initTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const config = yield* loadConfig(args)
  yield* refuseMember(config)
  const address = yield* adminAddress(args)
  const name = yield* machineName(args)
  // Makes the key where there is none, and rejects the directory of a daemon that runs.
  yield* Effect.mapError(withoutDaemon(config, { command: "team", create: true }, Effect.void), storeFailed)
  const paper = args.flag("no-paper") ? undefined : yield* makePaper
  const { founding, section } = yield* found(config, name, address, paper?.recipient)
  const members = { name, section, statements: [founding], isImport: true }
  const { imported, revoked } = yield* becomeMember(config, members)
  return {
    lines: [
      `founded the team, with this machine as ${name}; ${counted(imported, "secret")} put in, ${counted(revoked, "lease")} revoked`,
      `the words of the team: ${fingerprint(statementHash(founding))}`,
      ...(paper === undefined
        ? []
        : [
            "This key opens every secret of the team, without any machine. It is shown once: print it, and keep it off computers.",
            paper.identity
          ]),
      ...sectionLines(section)
    ],
    result: { imported, revoked, team: section, ...(paper === undefined ? {} : { paper: paper.identity }) }
  }
}, Effect.scoped)

/** Makes the key that is kept on paper. */
const makePaper = Effect.promise(async () => {
  const identity = await generateX25519Identity()
  return { identity, recipient: await identityToRecipient(identity) }
})

/** Creates what the database lacks, with the founding statement and the role of this machine. */
const found = Effect.fnUntraced(function* (
  config: Config,
  name: string,
  address: AdminAddress,
  paper: string | undefined
) {
  const failed = databaseFailed("the team cannot be founded", true)
  const signer = yield* Effect.mapError(readSigner(config, name), storeFailed)
  const admin = yield* Effect.mapError(openAdmin(address), failed)
  yield* Effect.mapError(admin.create, failed)
  if (yield* Effect.mapError(admin.hasMembers, failed)) {
    const fix = "Join it: secrets team request, and there: secrets team add"
    return yield* teamError("the database has a team", "it was founded before", fix, exitStatus.cannotCreate)
  }
  const url = machineUrl(address.url, name)
  const password = Redacted.make(randomBytes(24).toString("base64url"))
  yield* Effect.mapError(admin.runAll(roleStatements(url.username, password)), failed)
  const passwordFile = path.join(config.directory, "team.password")
  const line = `*:*:*:${url.username}:${Redacted.value(password)}\n`
  yield* Effect.mapError(replaceFile(passwordFile, [Buffer.from(line, "utf8")]), storeFailed)
  const said = { do: "found", ...signer.keys, team: randomUUID(), ...(paper === undefined ? {} : { paper }) }
  const founding = signStatement(noMembers, signer, said)
  yield* Effect.mapError(admin.found({ name, role: url.username, ...founding }), failed)
  const ca = address.ca === undefined ? {} : { ca: address.ca }
  const section: TeamSection = { name, url: url.href, ...ca, password_file: passwordFile }
  return { founding, section }
}, Effect.scoped)

/** Returns the URL of the machine: the server and the database of the given one, with the role of the machine. */
const machineUrl = (adminUrl: URL, name: string): URL => {
  const url = new URL(adminUrl)
  url.username = roleOf(name)
  return url
}

export const migrateTeam = Effect.fnUntraced(function* (args: TeamArgs) {
  const address = yield* adminAddress(args)
  const failed = databaseFailed("cannot bring the team's database up to date", true)
  const admin = yield* Effect.mapError(openAdmin(address), failed)
  yield* Effect.mapError(admin.migrate, failed)
  return { lines: ["the functions of the database are those of this version"], result: { migrated: true } }
}, Effect.scoped)
