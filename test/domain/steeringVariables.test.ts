/**
 * A secret is in no variable that makes a common program run code, load a file or talk to another host.
 */
import { assert, describe, it } from "@effect/vitest"
import { isSteering } from "../../src/domain/steeringVariables.ts"

const steering = {
  "the loader":
    "LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES GLIBC_TUNABLES GCONV_PATH HOSTALIASES LOCALDOMAIN RES_OPTIONS NLSPATH TERMINFO",
  shells:
    "PATH HOME IFS ENV BASH_ENV PS4 PROMPT_COMMAND SHELLOPTS CDPATH FPATH GLOBIGNORE ZDOTDIR TMPDIR XDG_CONFIG_HOME",
  builds:
    "MAKEFLAGS GNUMAKEFLAGS MAKEFILES CC CXX LD CFLAGS LDFLAGS RUSTFLAGS RUSTC_WRAPPER CARGO_TARGET_X86_LINKER GOFLAGS GOPROXY CGO_CFLAGS",
  git: "GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CONFIG_GLOBAL GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_TRACE",
  runtimes:
    "NODE_OPTIONS PYTHONPATH PYTHONSTARTUP PERL5OPT RUBYOPT JAVA_TOOL_OPTIONS MAVEN_OPTS GRADLE_OPTS DOTNET_STARTUP_HOOKS LUA_INIT_5_4",
  hosts:
    "HTTP_PROXY https_proxy all_proxy NO_PROXY SSL_CERT_FILE SSLKEYLOGFILE DOCKER_HOST KUBECONFIG VAULT_ADDR AWS_ENDPOINT_URL_S3 PIP_INDEX_URL npm_config_registry",
  settings:
    "AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE DOCKER_CONFIG GNUPGHOME PSQLRC ANSIBLE_CONFIG TF_CLI_CONFIG_FILE TF_CLI_ARGS_apply CURL_HOME WGETRC",
  programs:
    "EDITOR VISUAL GIT_EDITOR KUBE_EDITOR PAGER MANPAGER AWS_PAGER LESSOPEN BROWSER SSH_ASKPASS SUDO_ASKPASS SSH_AUTH_SOCK FZF_DEFAULT_COMMAND",
  "jobs of GitHub and this program": "GITHUB_ENV GITHUB_PATH RUNNER_TEMP AGENT_SECRETS_EVENTS_MIN_LEVEL"
}

const credentials =
  "DATABASE_URL GH_TOKEN GITHUB_TOKEN GIT_TOKEN NPM_TOKEN NODE_AUTH_TOKEN NODE_ENV AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY " +
  "AWS_SESSION_TOKEN VAULT_TOKEN PGPASSWORD PGHOST RSYNC_PASSWORD MISE_GITHUB_TOKEN CARGO_REGISTRY_TOKEN CARGO_REGISTRIES_ACME_TOKEN " +
  "TF_VAR_password TF_TOKEN_app_terraform_io SOPS_AGE_KEY COMPOSER_AUTH HOMEBREW_GITHUB_API_TOKEN VERCEL_TOKEN VERCEL_OIDC_TOKEN " +
  "DOCKER_PASSWORD CORP_PROXY_KEY MAKE_API_KEY PATHFINDER_KEY KEY TOKEN"

describe("a variable", () => {
  for (const [what, names] of Object.entries(steering)) {
    it(`may hold no secret if it steers ${what}`, () => {
      assert.deepStrictEqual(
        names.split(" ").filter((name) => !isSteering(name)),
        []
      )
    })
  }

  it("may hold a secret if it is a credential or belongs to an application", () => {
    assert.deepStrictEqual(credentials.split(" ").filter(isSteering), [])
  })

  it("may hold no secret if an earlier version refused it", () => {
    const earlier =
      "LD_TOKEN NPM_CONFIG__AUTH_TOKEN GIT_CONFIG_PASSWORD BASH_FUNC_TOKEN PHP_INI_SCAN_DIR DENO_DIR NODE_REPL_EXTERNAL_MODULE"
    assert.deepStrictEqual(
      earlier.split(" ").filter((name) => !isSteering(name)),
      []
    )
  })
})
