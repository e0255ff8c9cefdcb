# Completion of azlin for bash: the program itself says what fits.
_azlin()
{
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  case $before in
    --config|--ssh-key) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --home) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --output|-o) mapfile -t COMPREPLY < <(compgen -W 'table json jsonl' -- "$current"); return ;;
  esac
  mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _azlin azlin
