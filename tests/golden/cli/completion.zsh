#compdef goldmill
# zsh completion of goldmill, generated from its table of commands
_goldmill_images() {
  local -a names
  names=(${(f)"$(goldmill __complete images 2>/dev/null)"})
  compadd -a names
}
_goldmill_instances() {
  local -a names
  names=(${(f)"$(goldmill __complete instances 2>/dev/null)"})
  compadd -a names
}
_goldmill() {
  local -a commands
  commands=(
    'export:write an image in a disk format'
    'ssh:run a command on an instance'
    'completion:print a completion script'
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=${words[2]}
  shift words
  ((CURRENT--))
  case $command in
    export)
      _arguments -s \
        '--format=[What to write.]:FORMAT:(qcow2 raw)' \
        '-f+[What to write.]:FORMAT:(qcow2 raw)' \
        '--output=[Where to write it.]:FILE:_files' \
        '-o+[Where to write it.]:FILE:_files' \
        '*--set=[A parameter.]:KEY=VALUE: ' \
        '--quiet[Say less.]' \
        '-q[Say less.]' \
        '--verbose[Say more.]' \
        '-v[Say more.]' \
        '--json[Print one JSON object on standard output.]' \
        '--help[Show this help.]' \
        '-h[Show this help.]' \
        '1:IMAGE:_goldmill_images'
      ;;
    ssh)
      _arguments -s \
        '--json[Print one JSON object on standard output.]' \
        '--help[Show this help.]' \
        '-h[Show this help.]' \
        '1:INSTANCE:_goldmill_instances' \
        '*:WORD: '
      ;;
    completion)
      _arguments -s \
        '--json[Print one JSON object on standard output.]' \
        '--help[Show this help.]' \
        '-h[Show this help.]' \
        '1:SHELL:(bash zsh fish)'
      ;;
  esac
}
if [[ $funcstack[1] == _goldmill ]]; then
  _goldmill "$@"
else
  compdef _goldmill goldmill
fi
