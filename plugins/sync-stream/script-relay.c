/* What the two machines run on the relayed road: one archive, from the source through azlin to the target. */
#include "stream.h"

#include "landing.h"

/* Standard input: the names, each ended by NUL. $1 the folder, $2 level for zstd, or 0. */
const char stream_pack_script[] = "LC_ALL=C; export LC_ALL; unset CDPATH\n"
                                  "cd -P -- \"$1\" || exit 66\n"
                                  "level=$2\n"
                                  "set -- --format=pax --pax-option=delete=atime,delete=ctime --xattrs "
                                  "--xattrs-include='user.*' -S --no-recursion --null\n"
                                  "[ \"$level\" = 0 ] || set -- \"$@\" -I \"zstd -q -$level -T0\"\n"
                                  "exec tar \"$@\" -T - -cf -\n";

/* After landing_functions; $1 the folder, $2 the run, $3 see azlin_place, $4 a word for tar, or nothing: how it was
 * compressed. It cleans up behind itself, whatever happens to the connection; an archive that is cut off places
 * nothing. Prints what azlin_place reports, but a line for each name. */
static const char unpack[]
    = "azlin_open \"$1\" \"$2\" || exit\n"
      "tar --xattrs --xattrs-include='user.*' --delay-directory-restore $4 -xpf - || { azlin_drop; exit 70; }\n"
      "azlin_place \"$3\" > /proc/self/fd/5/said; azlin_status=$?\n"
      "[ $azlin_status != 23 ] || tr '\\0\\n' '\\n?' < /proc/self/fd/5/said\n"
      "azlin_drop\n"
      "exit $azlin_status\n";

char *
stream_unpack_script(void)
{
  return landing_script(unpack);
}
