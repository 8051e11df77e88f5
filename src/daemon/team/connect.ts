/**
 * How a machine connects to the database of its team: address, TLS, password.
 *
 * Where the server is not on this machine, its certificate is verified with its name. A
 * password comes from a file that only its owner can read.
 */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import { exitStatus } from "../../domain/exitStatus.ts"
import { toMillis } from "../../domain/GoDuration.ts"
import { StartError } from "../files/fileLock.ts"
import { hasTls, type TeamSettings } from "../../domain/TeamConfig.ts"

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
  const password = team.password_file === undefined ? undefined : yield* readPassword(team.password_file, url)
  const timeout = toMillis(team.timeout)
  const options: PgConnection.Config = {
    ...(yield* addressOptions(team, url)),
    ...(password === undefined ? {} : { password: Redacted.make(password) }),
    connectTimeout: timeout,
    keepAlive: "5 seconds",
    applicationName: `agent-secrets/${team.name}`,
    startupParameters: startupParameters(Duration.millis(timeout)),
    prepare: team.prepare,
    maxMessageSize: 1024 * 1024 * 1024
  }
  return options
})

/** Returns what a session asks of the server, which gives up a statement when this machine does. */
export const startupParameters = (limit: Duration.Duration) => ({
  synchronous_commit: "on",
  statement_timeout: String(Duration.toMillis(limit)),
  lock_timeout: String(Duration.toMillis(limit)),
  idle_in_transaction_session_timeout: "2000"
})

interface TlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Returns address, role and TLS, of a URL in which `databaseProblem` finds nothing. */
export const addressOptions = Effect.fn("addressOptions")(function* (files: TlsFiles, url: URL) {
  // Not as a URL: the driver ignores some of its parameters.
  return {
    host: url.searchParams.get("host") ?? hostOf(url),
    port: portOf(url),
    database: decodeURIComponent(url.pathname.slice(1)),
    username: decodeURIComponent(url.username),
    ...(yield* tlsOptions(files, url))
  }
})

const hostOf = ({ hostname }: URL): string => hostname.replaceAll(/^\[|\]$/g, "")
const portOf = ({ port }: URL): number => (port === "" ? 5432 : Number(port))

const tlsOptions = Effect.fnUntraced(function* (team: TlsFiles, url: URL) {
  if (!hasTls(url)) return undefined
  const pem = (setting: "ca" | "cert" | "key", check: (text: string) => unknown) => {
    const file = team[setting]
    if (file === undefined) return Effect.succeed(undefined)
    return Effect.tap(readFile(setting, file, setting === "key"), (text) =>
      Effect.try({ try: () => check(text), catch: () => unusable(setting, `${file} has ${pemContents[setting]}`) })
    )
  }
  const ca = yield* pem("ca", (text) => new X509Certificate(text))
  const cert = yield* pem("cert", (text) => new X509Certificate(text))
  const key = yield* pem("key", createPrivateKey)
  if (cert !== undefined && key !== undefined && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    return yield* unusable("key", "it is not the key of the certificate team.cert")
  }
  return {
    ssl: {
      // Without it, the driver compares the certificate with the address.
      ...(net.isIP(hostOf(url)) === 0 ? { servername: url.hostname } : {}),
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key })
    }
  }
})

/** What is wrong with a file that cannot be parsed. An empty `ca` would mean the public authorities. */
const pemContents = {
  ca: "no certificate in PEM",
  cert: "no certificate in PEM",
  key: "no private key in PEM without a passphrase"
}

/** Reads a file. One with a secret must be of its owner alone; nothing waits for a pipe. */
const readFile = (setting: string, file: string, isPrivate: boolean) =>
  Effect.try({
    try: () => {
      const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
      try {
        const stat = fs.fstatSync(fd)
        if (!stat.isFile()) throw new Error(`${file} is not a file`)
        if (isPrivate && (stat.mode & 0o077) !== 0) {
          throw new Error(`${file} can be read by others; its mode must be 0600`)
        }
        if (isPrivate && stat.uid !== 0 && stat.uid !== process.getuid?.()) {
          throw new Error(`${file} belongs to another user`)
        }
        return fs.readFileSync(fd, "utf8")
      } finally {
        fs.closeSync(fd)
      }
    },
    catch: (cause) => unusable(setting, cause instanceof Error ? cause.message : "unreadable")
  })

/** Finds the password in a file of lines like host:port:database:role:password, where * matches anything. */
const readPassword = Effect.fnUntraced(function* (file: string, url: URL) {
  const contents = yield* readFile("password_file", file, true)
  const names = [url.pathname.slice(1), url.username].map(decodeURIComponent)
  const wanted = [hostOf(url), String(portOf(url)), ...names]
  for (const line of contents.split("\n")) {
    const [host, port, database, role, password] = splitFields(line)
    if (password === undefined || password === "" || line.startsWith("#")) continue
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
