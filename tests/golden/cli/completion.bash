# bash completion of goldmill, generated from its table of commands
_goldmill() {
  local line=${COMP_LINE:0:COMP_POINT} words=() last cur prev kept='' mark
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  last=$((${#words[@]} - 1))
  cur=${words[last]} prev=${words[last - 1]}
  [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}
  for mark in = @ :; do
    if [[ $COMP_WORDBREAKS == *"$mark"* && ${cur#"$kept"} == *"$mark"* ]]; then
      kept=${cur%"${cur##*"$mark"}"}
    fi
  done
  COMPREPLY=()
  _goldmill_offer
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
_goldmill_offer() {
  local position=0 i
  if ((last == 1)); then
    COMPREPLY=($(compgen -W 'export ssh completion --help --version' -- "$cur"))
    return
  fi
  case ${words[1]} in
    export)
      case $prev in
        --format|-f) COMPREPLY=($(compgen -W 'qcow2 raw' -- "$cur")); return;;
        --output|-o) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return;;
        --set) :; return;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--format --output --set --quiet --verbose --json --help' -- "$cur")); return; fi
      for ((i = 2; i < last; i++)); do
        case ${words[i]} in
          --format|-f|--output|-o|--set) ((i++));;
          -*) ;;
          *) ((position++));;
        esac
      done
      case $position in
        0) COMPREPLY=($(compgen -W "$(goldmill __complete images 2>/dev/null)" -- "$cur"));;
        *) ;;
      esac;;
    ssh)
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --help' -- "$cur")); return; fi
      for ((i = 2; i < last; i++)); do
        case ${words[i]} in
          -*) ;;
          *) ((position++));;
        esac
      done
      case $position in
        0) COMPREPLY=($(compgen -W "$(goldmill __complete instances 2>/dev/null)" -- "$cur"));;
        *) :;;
        *) ;;
      esac;;
    completion)
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--json --help' -- "$cur")); return; fi
      for ((i = 2; i < last; i++)); do
        case ${words[i]} in
          -*) ;;
          *) ((position++));;
        esac
      done
      case $position in
        0) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur"));;
        *) ;;
      esac;;
    help) COMPREPLY=($(compgen -W 'export ssh completion' -- "$cur"));;
  esac
}
complete -F _goldmill goldmill
