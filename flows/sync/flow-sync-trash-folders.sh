# On the target: $1 the folder, "MODE TIME NAME" of folders below it on standard input, which get that mode and time.
LC_ALL=C; export LC_ALL
cd -- "$1" || exit 3
root=$(pwd -P && echo .); root=${root%??}
xargs -0 -r -n 500 sh -c '
  root=$0
  for one do
    mode=${one%% *} one=${one#* }; time=${one%% *} name=${one#* }
    want=${name#.}; want=${root%/}$want; [ -n "$want" ] || want=/
    (cd -P -- "$root/$name" && here=$(pwd -P && echo .) && [ "${here%??}" = "$want" ] &&
      chmod "$mode" . && touch -d "@$time" .) || failed=1
  done
  exit ${failed:-0}' "$root"
