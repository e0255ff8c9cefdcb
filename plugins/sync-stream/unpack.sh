# What the target runs on the relayed road, after landing.sh. $1 the folder, $2 the run, $3 see azlin_place, $4 words
# for tar, or nothing: how it was compressed, and how it counts. It cleans up behind itself, whatever happens to the
# connection; an archive that is cut off places nothing. Prints what tar says, an empty line, and what azlin_place
# reports, a line for each name.
azlin_open "$1" "$2" || exit
tar --xattrs --xattrs-include='user.*' --delay-directory-restore $4 -xpf - 2>&1 || { azlin_drop; exit 70; }
(echo) # which dies alone where nobody listens any more
azlin_place "$3" > /proc/self/fd/5/said; azlin_status=$?
[ $azlin_status != 23 ] || tr '\0\n' '\n?' < /proc/self/fd/5/said
azlin_drop
exit $azlin_status
