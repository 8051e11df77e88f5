/**
 * The names of environment variables that may hold a secret.
 *
 * Variables that control the loader, the shell or an interpreter are rejected: the author
 * of a project file must not decide what its users execute.
 */

/** Names that POSIX shells accept. */
export const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/u

/** Returns why a name cannot be used; undefined if it can. */
export const variableProblem = (name: string): string | undefined => {
  if (!variablePattern.test(name)) return "must be letters, digits and _, and not begin with a digit"
  if (controlling.has(name.toUpperCase()) || controllingPrefixes.test(name.toUpperCase())) {
    return "controls which programs run or what they load, so it may not hold a secret"
  }
  return undefined
}

/** Returns the default variable for a secret: GITHUB_TOKEN for `github-token`. */
export const variableFor = (secret: string): string => secret.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_")

const controllingPrefixes = /^(LD_|DYLD_|_RLD|BASH_FUNC_|GIT_CONFIG|NPM_CONFIG_)/u

const controlling: ReadonlySet<string> = new Set(
  [
    "PATH HOME SHELL IFS ENV BASH_ENV ZDOTDIR PROMPT_COMMAND PS4 SHELLOPTS BASHOPTS PWD TMPDIR USER",
    "LOGNAME TERM EDITOR VISUAL PAGER BROWSER HOSTALIASES NODE_OPTIONS NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED PYTHONPATH PYTHONSTARTUP",
    "PYTHONHOME PYTHONINSPECT PERL5LIB PERL5OPT PERL5DB RUBYOPT RUBYLIB JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH GCONV_PATH LUA_INIT GIT_SSH GIT_SSH_COMMAND GIT_ASKPASS",
    "GIT_EDITOR GIT_PAGER GIT_EXTERNAL_DIFF GIT_EXEC_PATH GIT_PROXY_COMMAND GIT_TEMPLATE_DIR SSH_ASKPASS",
    "SUDO_ASKPASS RUSTC_WRAPPER OPENSSL_CONF LESSOPEN LESSCLOSE MANPAGER BUN_OPTIONS DENO_DIR PHPRC",
    "PHP_INI_SCAN_DIR"
  ].flatMap((names) => names.split(" "))
)
