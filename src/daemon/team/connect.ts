/**
 * How a machine connects to the database of its team: address, TLS, password.
 *
 * Where the server is not on this machine, its certificate is verified with its name. A
 * password comes from a file that only its owner can read.
 */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import { exitStatus } from "../../domain/exitStatus.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { StartError } from "../files/fileLock.ts"
import { isLocalDatabase, type TeamSettings } from "../../domain/TeamConfig.ts"

/** Makes the error of a file that the connection needs and that cannot be used. */
const unusable = (setting: string, reason: string) =>
  new StartError({
    reason: `config: team.${setting}: ${reason}`,
    fix: "Correct the file, or the setting in config.json",
    exitStatus: exitStatus.badConfig
  })

/** Returns the options of the driver. Reads the files that the settings name. */
export const connectionOptions = Effect.fn("connectionOptions")(function* (team: TeamSettings) {
  const url = new URL(team.url)
  const directory = url.searchParams.get("host")
  const { hostname, port, username } = url
  const password = team.password_file === undefined ? undefined : yield* readPassword(team.password_file, url)
  const timeout = toMillis(team.timeout)
  const options: PgConnection.Config = {
    // Not as a URL: the driver ignores some of its parameters.
    host: directory ?? hostname.replaceAll(/^\[|\]$/g, ""),
    port: port === "" ? 5432 : Number(port),
    database: decodeURIComponent(url.pathname.slice(1)),
    username: decodeURIComponent(username),
    ...(password === undefined ? {} : { password: Redacted.make(password) }),
    ...(yield* tlsOptions(team, url)),
    connectTimeout: timeout,
    keepAlive: "5 seconds",
    applicationName: `agent-secrets/${team.name}`,
    startupParameters: {
      synchronous_commit: "on",
      statement_timeout: String(timeout),
      lock_timeout: String(timeout),
      idle_in_transaction_session_timeout: "2000"
    },
    prepare: team.prepare,
    maxMessageSize: 1024 * 1024 * 1024
  }
  return options
})

const tlsOptions = Effect.fnUntraced(function* (team: TeamSettings, url: URL) {
  if (isLocalDatabase(url) && url.searchParams.get("sslmode") === null) return undefined
  const pem = (setting: "ca" | "cert" | "key") => {
    const file = team[setting]
    return file === undefined ? Effect.succeed(undefined) : readFile(setting, file, setting === "key")
  }
  const [ca, cert, key] = [yield* pem("ca"), yield* pem("cert"), yield* pem("key")]
  return {
    ssl: {
      servername: url.hostname,
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key })
    }
  }
})

const readFile = (setting: string, file: string, isPrivate: boolean) =>
  Effect.try({
    try: () => {
      const { mode } = fs.statSync(file)
      if (isPrivate && (mode & 0o077) !== 0) throw new Error(`${file} can be read by others; its mode must be 0600`)
      return fs.readFileSync(file, "utf8")
    },
    catch: (cause) => unusable(setting, cause instanceof Error ? cause.message : "unreadable")
  })

/** Finds the password in a file of lines like host:port:database:role:password, where * matches anything. */
const readPassword = Effect.fnUntraced(function* (file: string, url: URL) {
  const contents = yield* readFile("password_file", file, true)
  const wanted = [url.hostname, url.port || "5432", url.pathname.slice(1), url.username]
  for (const line of contents.split("\n")) {
    const [host, port, database, role, password] = splitFields(line)
    if (password === undefined || line.startsWith("#")) continue
    if ([host, port, database, role].every((field, at) => field === "*" || field === wanted[at])) return password
  }
  return yield* unusable("password_file", `${file} has no line for this role`)
})

/** Splits at colons; a backslash takes the meaning of the character after it. */
const splitFields = (line: string): ReadonlyArray<string> => {
  const fields = [""]
  for (const [, escaped, plain] of line.matchAll(/\\(.)|(.)/gu)) {
    if (plain === ":" && fields.length < 5) fields.push("")
    else fields[fields.length - 1] += escaped ?? plain ?? ""
  }
  return fields
}
