/**
 * The completion script for zsh, which is called `_secrets` in a directory of `$fpath`.
 */
import type { Completion, Flag, Flags, CommandSpec } from "../../command/Command.ts"
import { globalFlags, visibleFlags } from "../../command/Command.ts"

export const zshScript = (specs: ReadonlyArray<CommandSpec<Flags>>): string =>
  [
    "#compdef secrets",
    "# zsh completion for secrets; made by: secrets completions zsh",
    "",
    "_secrets_names() {",
    "  local -a names",
    '  names=("${(@f)$(${~program} completions --names $1 --timeout 0.3 $daemon 2>/dev/null </dev/null)}")',
    '  names=("${(@)names:#}")',
    "  compadd -a names",
    "}",
    "",
    "_secrets_commands() {",
    "  local -a commands",
    "  commands=(",
    ...specs.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`),
    `    ${quoted("help:Show the help of a command")}`,
    "  )",
    "  _describe command commands",
    "}",
    "",
    "_secrets() {",
    '  local program=$words[1] state line curcontext="$curcontext"',
    "  local -a daemon",
    "  local -A opt_args",
    "  integer at",
    "  for (( at = 2; at < CURRENT; at++ )); do",
    "    [[ $words[at] == --(socket|config) ]] && daemon+=($words[at] ${(Q)words[at+1]})",
    "  done",
    `  _arguments -C ${specsOf(globalFlags).join(" ")} '1: :_secrets_commands' '*:: :->rest' && return`,
    "  [[ $state == rest ]] || return",
    "  case $words[1] in",
    "    help) _arguments '1: :_secrets_commands' ;;",
    ...specs.map(
      (spec) =>
        `    ${namesOf(spec)}) _arguments ${specsOf({ ...spec.flags, ...globalFlags }).join(" ")}${operandOf(spec)} ;;`
    ),
    "  esac",
    "}",
    "",
    // Loaded by compinit it is this function's body; evaluated in a start file it has to say what it completes.
    'if [[ $funcstack[1] == _secrets ]]; then _secrets "$@"; else compdef _secrets secrets; fi',
    ""
  ].join("\n")

const namesOf = ({ name }: CommandSpec<Flags>): string => (name === "delete" ? "delete|rm" : name)

const specsOf = (flags: Flags): ReadonlyArray<string> =>
  visibleFlags(flags).flatMap(([name, flag]) =>
    [`--${name}${flag.type === "string" ? "=" : ""}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])].map(
      (word) => quoted(`${word}[${escaped(flag.summary ?? "")}]${valueOf(flag)}`)
    )
  )

const valueOf = ({ completes, type, value }: Flag): string =>
  type === "string" ? `:${escaped(value ?? "value")}:${actionOf(completes)}` : ""

const operandOf = ({ completes, positionals }: CommandSpec<Flags>): string =>
  completes === undefined ? "" : ` ${quoted(`*:${escaped(positionals ?? "")}:${actionOf(completes)}`)}`

const actionOf = (completes: Completion | undefined): string => {
  if (completes === undefined) return " "
  if (completes === "file") return "_files"
  return typeof completes === "string" ? ` _secrets_names ${completes}` : `(${completes.join(" ")})`
}

const escaped = (text: string): string => text.replace(/[\\:[\]]/g, "\\$&")
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
