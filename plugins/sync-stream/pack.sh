# What the source runs on the relayed road. Standard input: the names, each ended by NUL. $1 the folder, $2 level for
# zstd, or 0.
LC_ALL=C; export LC_ALL; unset CDPATH
cd -P -- "$1" || exit 66
level=$2
set -- --format=pax --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='user.*' -S --no-recursion --null
[ "$level" = 0 ] || set -- "$@" -I "zstd -q -$level -T0"
exec tar "$@" -T - -cf -
