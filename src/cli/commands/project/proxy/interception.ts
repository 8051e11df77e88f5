/**
 * The variables of interception: the proxy for https, and the certificate of the run for every client that
 * reads certificates from a file.
 *
 * A variable of the user that names other certificates is merged, never replaced by less.
 */
import type { Variables } from "./clientVariables.ts"

/** Certificates instead of the client's own, so they need those of the system too. Set always. */
const wholeVariables = [
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "PIP_CERT",
  "GIT_SSL_CAINFO",
  "AWS_CA_BUNDLE",
  "CARGO_HTTP_CAINFO",
  "npm_config_cafile"
]
/** The same, but for clients that few have: set where the user has set them. */
const rareVariables = [
  "NIX_SSL_CERT_FILE",
  "NPM_CONFIG_CAFILE",
  "YARN_HTTPS_CA_FILE_PATH",
  "HTTPLIB2_CA_CERTS",
  "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
  "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
  "PERL_LWP_SSL_CA_FILE",
  "HTTPS_CA_FILE",
  "BUNDLE_SSL_CA_CERT",
  "COMPOSER_CAFILE",
  "HEX_CACERTS_PATH",
  "JULIA_SSL_CA_ROOTS_PATH",
  "SYSTEM_CERTIFICATE_PATH"
]
/** Certificates beside the client's own. */
const extraVariables = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"]

/** Where systems have their certificates in one file. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem"
]

export interface CertificateFiles {
  /** What replaces the certificates of a client. */
  readonly whole: string
  /** What a client takes in addition. */
  readonly extra: string
  /** The variables whose files could not be read. */
  readonly unread: ReadonlyArray<string>
}

/**
 * Returns the text of both files. `read` returns undefined for a file that cannot be read; `roots` are the certificates that
 * Node brings, for a system without a bundle.
 */
export const certificateFiles = (
  ca: string,
  environment: Variables,
  read: (file: string) => string | undefined,
  roots: () => ReadonlyArray<string>
): CertificateFiles => {
  const unread: Array<string> = []
  const certificatesOf = (names: ReadonlyArray<string>) =>
    names.flatMap((name) => {
      const file = environment[name]
      if (!file) return []
      const text = read(file)
      if (text === undefined) unread.push(name)
      return certificatesIn(text ?? "")
    })
  const system = environment["SSL_CERT_FILE"] ? [] : (systemCertificates(read) ?? roots())
  const whole = [...system, ...certificatesOf([...wholeVariables, ...rareVariables, ...extraVariables])]
  const extra = certificatesOf(extraVariables)
  return { whole: joined([...whole, ca]), extra: joined([...extra, ca]), unread: [...new Set(unread)] }
}

const systemCertificates = (read: (file: string) => string | undefined) =>
  systemBundles.map((file) => certificatesIn(read(file) ?? "")).find((found) => found.length > 0)

const certificatesIn = (text: string): ReadonlyArray<string> =>
  text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ?? []

const joined = (certificates: ReadonlyArray<string>): string =>
  [...new Set(certificates.map((one) => one.trim()))].map((one) => `${one}\n`).join("")

/** Returns the variables, for these two files and an address that holds the token of the run. */
export const interceptVariables = (
  proxy: string,
  files: { readonly whole: string; readonly extra: string },
  environment: Variables
): Variables => ({
  HTTPS_PROXY: proxy,
  https_proxy: proxy,
  // It reads neither.
  YARN_HTTPS_PROXY: proxy,
  NODE_USE_ENV_PROXY: "1",
  ...Object.fromEntries([
    ...[...wholeVariables, ...rareVariables.filter((name) => environment[name])].map((name) => [name, files.whole]),
    ...extraVariables.map((name) => [name, files.extra])
  ])
})

/** Hosts that a client reaches without a proxy of the user: base URLs are on one of them. */
const directHosts = ["localhost", "127.0.0.1", "::1"]

/** Returns NO_PROXY with ours beside those of the user. Clients differ in which case they read. */
export const noProxyVariables = (environment: Variables): Variables => {
  const all = [...new Set([...noProxyOf(environment), ...directHosts])].join(",")
  return { NO_PROXY: all, no_proxy: all }
}

const noProxyOf = ({ NO_PROXY: upper = "", no_proxy: lower = "" }: Variables): ReadonlyArray<string> =>
  `${upper},${lower}`.split(",").flatMap((entry) => entry.trim() || [])

/** Returns the entry of the user's NO_PROXY that makes clients go to a host directly. */
export const bypassOf = (host: string, environment: Variables): string | undefined =>
  noProxyOf(environment).find((entry) => {
    const name = entry
      .toLowerCase()
      .replace(/^\*?\./, "")
      .replace(/:\d+$/, "")
    return entry === "*" || host === name || host.endsWith(`.${name}`)
  })
