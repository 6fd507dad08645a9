#!/bin/sh
# First process of the images: chooses the data folder, gives up root, understands the variables and secrets of the
# images that these replace, and becomes the program.
#
#     hbbs | hbbr | api [OPTIONS]      one program
#     standalone [OPTIONS]             all of them
#     init | health | import | ...     a command of rustdesk-utils
#     anything else                    is run as it is
set -eu

uid=1000

# The image that is replaced keeps its files in /root; a folder mounted there is somebody's data.
data=/data
if mountpoint -q /root; then data=/root; fi

if [ $# = 0 ]; then set -- "${DEFAULT_COMMAND:-hbbs}"; fi
case $1 in -*) set -- "${DEFAULT_COMMAND:-hbbs}" "$@" ;; esac

# Started as root: what root owns of the data folder is given to the user that the programs run as. Without the
# capabilities for that, root is an ordinary user already.
if [ "$(id -u)" = 0 ] && setpriv --reuid=$uid --regid=$uid --clear-groups true 2>/dev/null; then
  if [ "$1" != health ]; then
    find "$data" -xdev -user 0 -exec chown -h $uid:$uid {} + || true
    # Secrets are often readable by root only.
    if [ -r /run/secrets/key_pub ]; then KEY_PUB=$(cat /run/secrets/key_pub) && export KEY_PUB; fi
    if [ -r /run/secrets/key_priv ]; then KEY_PRIV=$(cat /run/secrets/key_priv) && export KEY_PRIV; fi
  fi
  exec setpriv --reuid=$uid --regid=$uid --clear-groups --inh-caps=-all --no-new-privs "$0" "$@"
fi

cd "$data"

# given FLAG LONG ARGUMENTS...: whether the arguments have the flag
given() {
  short=$1 long=$2
  shift 2
  for word; do
    case $word in "$short"* | "$long" | "$long"=*) return 0 ;; esac
  done
  return 1
}

place_given_keys() {
  if [ -n "${KEY_PUB:-}${KEY_PRIV:-}" ] || [ -r /run/secrets/key_priv ] || [ -r /run/secrets/key_pub ]; then
    rustdesk-utils init --given-keys "$data"
  fi
  unset KEY_PUB KEY_PRIV
}

case $1 in
  hbbs | hbbr | standalone)
    place_given_keys
    program=$1
    shift
    if [ "$program" != hbbr ] && [ "${RELAY:-relay.example.com}" != relay.example.com ] && ! given -r --relay-servers "$@"; then
      set -- "$@" -r "$RELAY"
    fi
    if [ "${ENCRYPTED_ONLY:-0}" = 1 ] && ! given -k --key "$@"; then set -- "$@" -k _; fi
    if [ "$program" = standalone ]; then export DATA_DIR="${DATA_DIR:-$data}"; fi
    exec "$program" "$@"
    ;;
  init)
    place_given_keys
    exec rustdesk-utils "$@"
    ;;
  health | export | import | genkeypair | validatekeypair | doctor) exec rustdesk-utils "$@" ;;
  *) exec "$@" ;;
esac
