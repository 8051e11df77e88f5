/**
 * The completion script for bash, also for the bash 3.2 of macOS.
 *
 * It splits the line itself, for bash splits names at colons and equals signs and
 * leaves the quotes in; what it replies it quotes, and leaves off what bash thinks is
 * a word of its own.
 */
import type { Completion, Flag, Flags, CommandSpec } from "../../command/Command.ts"
import { globalFlags, allFlags } from "../../command/Command.ts"

export const bashScript = (specs: ReadonlyArray<CommandSpec<Flags>>): string =>
  [
    "# bash completion for secrets; made by: secrets completions bash",
    "",
    "_secrets_flags() {",
    "  case $1 in",
    ...[...specs, wholeProgram].map((spec) => `    '${spec.name}') printf '%s\\n' ${wordsOf(spec).join(" ")} ;;`),
    "  esac",
    "}",
    "",
    "# What completes the value of a flag of a command: a kind, or words; nothing if it takes no value.",
    "_secrets_value() {",
    '  case "$1 $2" in',
    ...[...specs, wholeProgram].flatMap((spec) =>
      valued(spec).map(([name, flag]) => `    '${spec.name} --${name}') echo '${kindOf(flag.completes)}' ;;`)
    ),
    "  esac",
    "}",
    "",
    "_secrets_operand() {",
    "  case $1 in",
    `    help) echo '${kindOf(specs.map(({ name }) => name))}' ;;`,
    ...specs.flatMap(({ completes, name }) =>
      completes === undefined ? [] : [`    '${name}') echo '${kindOf(completes)}' ;;`]
    ),
    "  esac",
    "}",
    "",
    `_secrets_commands='${[...specs.map(({ name }) => name), "help"].join(" ")}'`,
    "",
    machinery
  ].join("\n")

const wholeProgram: CommandSpec<Flags> = { name: "", summary: "", arity: [0, 0], flags: {}, examples: [] }

const wordsOf = (spec: CommandSpec<Flags>): ReadonlyArray<string> => allFlags(spec).map(([name]) => `--${name}`)

/** All flags that take a value, also those that are not shown. */
const valued = (spec: CommandSpec<Flags>): ReadonlyArray<readonly [string, Flag]> =>
  Object.entries<Flag>({ ...globalFlags, ...spec.flags }).filter(([, { type }]) => type === "string")

const kindOf = (completes: Completion | undefined): string => {
  if (completes === undefined) return "@nothing"
  return typeof completes === "string" ? `@${completes}` : completes.join(" ")
}

/** In a text of TypeScript, `@{` stands for what begins a parameter of the shell. */
const machinery =
  String.raw`# Splits a line as a shell does. The words, without quotes, are in _secrets_words, the last one being completed;
# _secrets_raw is that one as it was typed, and _secrets_before what stands before a quote in it that is open.
_secrets_split() {
  local line=$1 tick=$'\140' at=0 char word= quote= start=0 inside=
  _secrets_words=() _secrets_quote= _secrets_before=
  while [ "$at" -lt "@{#line}" ]; do
    char=@{line:at:1}
    if [ -n "$quote" ]; then
      if [ "$char" = "$quote" ]; then quote=
      elif [ "$quote" = '"' ] && [ "$char" = \\ ] && [[ @{line:at+1:1} == [\"\\\$$tick] ]]; then at=$((at + 1)); word+=@{line:at:1}
      else word+=$char; fi
    else
      case $char in
        [[:space:]])
          if [ -n "$inside" ]; then _secrets_words+=("$word"); fi
          word= inside= start=$((at + 1)) ;;
        \'|\") quote=$char inside=1 _secrets_before=$word ;;
        \\) at=$((at + 1)); word+=@{line:at:1}; inside=1 ;;
        *) word+=$char; inside=1 ;;
      esac
    fi
    at=$((at + 1))
  done
  _secrets_words+=("$word")
  _secrets_raw=@{line:start}
  _secrets_quote=$quote
}

# Adds a candidate, a whole word, in the form that bash puts in place of what it takes for the word.
_secrets_reply() {
  local candidate=$1 tick=$'\140' quoted breaks= head
  if [ -n "$_secrets_quote" ]; then
    quoted=@{candidate:@{#_secrets_before}}
    if [ "$_secrets_quote" = "'" ]; then quoted=@{quoted//\'/\'\\\'\'}
    else
      quoted=@{quoted//\\/\\\\}; quoted=@{quoted//\"/\\\"}; quoted=@{quoted//\$/\\\$}; quoted=@{quoted//$tick/\\$tick}
    fi
    COMPREPLY+=("$quoted")
    return
  fi
  printf -v quoted %q "$candidate"
  [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
  [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
  if [ -n "$breaks" ] && [[ $_secrets_raw == *[$breaks]* ]]; then
    head=@{_secrets_raw%"@{_secrets_raw##*[$breaks]}"}
    quoted=@{quoted#"$head"}
  fi
  COMPREPLY+=("$quoted")
}

# Replies with what completes a kind of word, behind a text that is there already.
_secrets_complete() {
  local kind=$1 prefix=$2 current=$3 candidate
  case $kind in
    @file)
      compopt -o default 2>/dev/null && return
      while IFS= read -r candidate; do _secrets_reply "$prefix$candidate"; done < <(compgen -f -- "@{current#"$prefix"}") ;;
    @nothing) ;;
    @*)
      while IFS= read -r candidate; do
        [[ $prefix$candidate == "$current"* ]] && _secrets_reply "$prefix$candidate"
      done < <("$_secrets_program" completions --names "@{kind#@}" --timeout 0.3 "@{_secrets_daemon[@]}" 2>/dev/null </dev/null) ;;
    *)
      for candidate in $kind; do
        [[ $prefix$candidate == "$current"* ]] && _secrets_reply "$prefix$candidate"
      done ;;
  esac
}

_secrets() {
  local _secrets_program=$1 _secrets_words _secrets_raw _secrets_quote _secrets_before
  local _secrets_daemon=(--no-update-check) command= at=1 word last current flag kind
  COMPREPLY=()
  case $_secrets_program in "~/"*) _secrets_program=$HOME/@{_secrets_program#"~/"} ;; esac
  _secrets_split "@{COMP_LINE:0:COMP_POINT}"
  last=$((@{#_secrets_words[@]} - 1))
  current=@{_secrets_words[last]}
  flag=
  while [ "$at" -lt "$last" ]; do
    word=@{_secrets_words[at]}
    if [ -n "$flag" ]; then
      case $flag in --socket|--config) _secrets_daemon+=("$flag" "$word") ;; esac
      flag=
    elif [[ $word == --*=* ]]; then
      case $word in --socket=*|--config=*) _secrets_daemon+=("$word") ;; esac
    elif [[ $word == --* ]]; then [ -n "$(_secrets_value "$command" "$word")" ] && flag=$word
    elif [[ $word != -* ]] && [ -z "$command" ]; then command=$word
    fi
    at=$((at + 1))
  done
  [ "$command" = rm ] && command=delete
  if [ -n "$flag" ]; then _secrets_complete "$(_secrets_value "$command" "$flag")" "" "$current"
  elif [[ $current == --*=* ]]; then _secrets_complete "$(_secrets_value "$command" "@{current%%=*}")" "@{current%%=*}=" "$current"
  elif [[ $current == -* ]]; then _secrets_complete "$(_secrets_flags "$command" | tr '\n' ' ')" "" "$current"
  elif [ -z "$command" ]; then _secrets_complete "$_secrets_commands" "" "$current"
  else kind=$(_secrets_operand "$command"); _secrets_complete "@{kind:-@nothing}" "" "$current"
  fi
}

complete -F _secrets secrets
`.replaceAll("@{", "${")
