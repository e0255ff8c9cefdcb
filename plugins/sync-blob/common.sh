# What the scripts of source and target share.

# CRC and length as as many digits: next to nothing where the processor computes it.
crc() {
  crc=$(cksum)
  printf '%016x%016x\n' ${crc}
}

# Chunks are moved by connections that stay and not by a curl for each run: $1 put or get, $2 the folder that has the files
# in its folder "big", $3 how many, $4 the service's address; orders go to descriptor 6. That this cannot be here, or is
# over, is told.
warm=
start_lanes() {
  mkfifo "$T/orders"
  {
    [ -n "${AZLIN_NO_PYTHON}${http_proxy}${https_proxy}${HTTPS_PROXY}${all_proxy}${ALL_PROXY}" ] ||
      /usr/bin/python3 -I -S -c "$program" "$1" "$2" "${summer%sum}" "$3" "$4"
    echo "@cold"
  } <"$T/orders" &
  lanes=$!
  exec 6>"$T/orders"
  warm=1
}
