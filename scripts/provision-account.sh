#!/bin/sh
# Makes a server's account on this storage: bakker-storage provision, with this checkout's program put into the PATH first.
#
#   scripts/provision-account.sh NAME --key FILE [--size 10G] [--backend dir|lvm|xfs-quota] …
#
# docs/provision.md has every flag. For root.
set -eu
here=$(cd "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
storage=$here/packages/storage-shell/bin/bakker-storage
link=${BAKKER_LINK:-/usr/local/bin/bakker-storage}

case ${1:-} in
  '' | -h | --help)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "provision-account: only root can do this: sudo $0 $*" >&2; exit 13; }
[ -e "$here/packages/storage-shell/dist/main.js" ] || "$here/scripts/setup" run

# So that `bakker init --provision`, timers and people find it. One that is there is left alone.
if [ ! -e "$link" ] && [ ! -L "$link" ]; then
  ln -s "$storage" "$link"
  echo "provision-account: $link -> $storage" >&2
fi
exec "$storage" provision "$@"
