# bash completion of goldmill, generated from its table of commands
_goldmill() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  local first=1 position=0 i
  COMPREPLY=()
  if ((COMP_CWORD == first)); then
    COMPREPLY=($(compgen -W 'export ssh completion --help --version' -- "$cur"))
    return
  fi
  case ${COMP_WORDS[first]} in
    export)
      case $prev in
        --format|-f) COMPREPLY=($(compgen -W 'qcow2 raw' -- "$cur")); return;;
        --output|-o) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return;;
        --set) :; return;;
      esac
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '--format --output --set --quiet --verbose --json --help' -- "$cur")); return; fi
      for ((i = first + 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
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
      for ((i = first + 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
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
      for ((i = first + 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
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
