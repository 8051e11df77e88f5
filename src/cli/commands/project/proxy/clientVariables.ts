/**
 * The variables through which each client finds the proxy, in one table. A row is a kind of client: which routes it
 * uses, and what it is given for one.
 *
 * It does nothing itself: files are returned, and written by `runFolder.ts`.
 */
import { hostOf, type ProgramRoute } from "./openedProxy.ts"

/** Undefined unsets a variable of ours. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Where the run has its files, and what the user has. */
export interface ClientPlace {
  /** The folder of the run. */
  readonly folder: string
  /** The environment of `exec`. */
  readonly environment: Variables
  /** Returns the text of a file of the user; empty if there is none. */
  readonly read: (file: string) => string
}

/** What a client needs for a route. */
export interface Given {
  readonly variables?: Variables
  /** Settings of git, as `git config` names them. */
  readonly git?: ReadonlyArray<readonly [key: string, value: string]>
  /** Files in the folder of the run, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** The name of a socket in that folder, over which the client talks to the route. */
  readonly socket?: string
}

/** What all clients of a program need. */
export interface ClientSetup {
  readonly variables: Variables
  readonly files: Readonly<Record<string, string>>
  readonly sockets: ReadonlyArray<string>
}

interface ClientRow {
  readonly uses: (route: ProgramRoute) => boolean
  /** A route that intercepts has no base URL, so its clients get the placeholder alone. */
  readonly given: (route: ProgramRoute, place: ClientPlace) => Given
}

const isFor =
  (preset: string, host: string) =>
  (route: ProgramRoute): boolean =>
    route.preset === preset || hostOf(route) === host

/** Returns the beginning of the variables of a route: GEMINI for gemini. */
const prefixOf = ({ name }: ProgramRoute): string => name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")

const publicGithub = "api.github.com"

/** Later rows win. */
const clients: ReadonlyArray<ClientRow> = [
  {
    // curl, and every program that takes a base URL and a key.
    uses: () => true,
    given: (route) => ({
      variables: {
        [`${prefixOf(route)}_API_KEY`]: route.credential,
        ...(route.base !== undefined && { [`${prefixOf(route)}_BASE_URL`]: route.base })
      }
    })
  },
  {
    uses: isFor("openai", "api.openai.com"),
    given: ({ base, credential, upstream }) => ({
      variables: {
        OPENAI_API_KEY: credential,
        ...(base !== undefined && { OPENAI_BASE_URL: upstream.endsWith("/v1") ? base : `${base}/v1` })
      }
    })
  },
  {
    uses: isFor("anthropic", "api.anthropic.com"),
    given: ({ base, credential, inject: { kind } }) => ({
      variables: {
        // With both, clients would send both.
        ANTHROPIC_API_KEY: kind === "bearer" ? undefined : credential,
        ANTHROPIC_AUTH_TOKEN: kind === "bearer" ? credential : undefined,
        ...(base !== undefined && { ANTHROPIC_BASE_URL: base })
      }
    })
  },
  {
    uses: isFor("github", publicGithub),
    given: ({ credential, upstream }) => ({
      variables:
        hostOf({ upstream }) === publicGithub
          ? { GH_TOKEN: credential, GITHUB_TOKEN: credential }
          : { GH_HOST: new URL(upstream).host, GH_ENTERPRISE_TOKEN: credential }
    })
  },
  {
    // gh takes no address, but a socket. octokit and the toolkit of Actions take the address.
    uses: (route) => route.base !== undefined && isFor("github", publicGithub)(route),
    given: ({ base = "", upstream }, { environment, folder, read }) => ({
      variables: {
        GITHUB_API_URL: hostOf({ upstream }) === publicGithub ? base : `${base}/api/v3`,
        GH_CONFIG_DIR: `${folder}/gh`
      },
      files: { "gh/config.yml": ghSettings(read(`${ghDirectory(environment)}/config.yml`), `${folder}/gh.sock`) },
      socket: "gh.sock"
    })
  },
  {
    uses: ({ inject, preset }) => preset === "git" || inject.kind === "basic",
    given: ({ base, credential, inject, upstream }) => ({
      variables: { GIT_TERMINAL_PROMPT: "0" },
      ...(base !== undefined && {
        git: [
          [`url.${base}/.insteadOf`, `${upstream}/`],
          // An empty one drops those that the user has for every address.
          [`http.${base}/.extraHeader`, ""],
          [`http.${base}/.extraHeader`, `Authorization: ${authorization(inject, credential)}`]
        ]
      })
    })
  },
  {
    uses: isFor("npm", "registry.npmjs.org"),
    given: ({ base, credential, upstream }, { environment, folder, read }) => ({
      variables: {
        npm_config_registry: `${base ?? upstream}/`,
        NPM_CONFIG_REGISTRY: undefined,
        npm_config_globalconfig: `${folder}/npmrc`,
        NPM_CONFIG_GLOBALCONFIG: undefined,
        // Yarn reads none of npm's, and fetches packages from the addresses that the registry names.
        ...(base === undefined && { YARN_NPM_REGISTRY_SERVER: upstream })
      },
      // Not a variable: dash drops those whose names are no names.
      files: {
        npmrc: `${read(npmSettings(environment))}\n${(base ?? upstream).replace(/^https?:/, "")}/:_authToken=${credential}\n`
      }
    })
  }
]

const authorization = ({ kind, user = "" }: ProgramRoute["inject"], credential: string): string =>
  kind === "basic" ? `Basic ${Buffer.from(`${user}:${credential}`).toString("base64")}` : `Bearer ${credential}`

const ghDirectory = ({ GH_CONFIG_DIR: own, HOME: home = "", XDG_CONFIG_HOME: xdg }: Variables): string =>
  own || `${xdg || `${home}/.config`}/gh`

/** Returns the user's settings of gh with our socket in place of another. */
const ghSettings = (own: string, socket: string): string =>
  [
    ...own.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("http_unix_socket:")),
    `http_unix_socket: ${socket}\n`
  ].join("\n")

const npmSettings = ({ NPM_CONFIG_GLOBALCONFIG: upper, npm_config_globalconfig: lower }: Variables): string =>
  lower || upper || "/etc/npmrc"

/** Joins what all clients need for these routes. Settings of git that the environment has already are continued. */
export const clientSetup = (routes: ReadonlyArray<ProgramRoute>, place: ClientPlace) => {
  const given = clients.flatMap((row) => routes.filter(row.uses).map((route) => row.given(route, place)))
  const git = given.flatMap((one) => one.git ?? [])
  const setup: ClientSetup = {
    variables: Object.assign({}, ...given.map((one) => one.variables), gitSettings(git, place.environment)),
    files: Object.assign({}, ...given.map(({ files }) => files)),
    sockets: [...new Set(given.flatMap(({ socket }) => socket ?? []))]
  }
  return setup
}

const gitSettings = (pairs: ReadonlyArray<readonly [string, string]>, { GIT_CONFIG_COUNT: count = "" }: Variables) => {
  const first = /^[0-9]+$/.test(count) ? Number(count) : 0
  return pairs.length === 0
    ? {}
    : Object.fromEntries([
        ["GIT_CONFIG_COUNT", String(first + pairs.length)],
        ...pairs.flatMap(([key, value], at) => [
          [`GIT_CONFIG_KEY_${first + at}`, key],
          [`GIT_CONFIG_VALUE_${first + at}`, value]
        ])
      ])
}
