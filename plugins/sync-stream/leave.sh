# What the target runs before a copy that went through azlin goes the direct road: waits until what unpacked there is gone,
# and its stage with it. $1 the folder, $2 the run.
azlin_n=0
while [ -e "$1/.azlin-partial/$2" ]; do
  azlin_n=$((azlin_n + 1)); [ $azlin_n -le 200 ] || exit 75
  sleep 0.05
done
