#!/bin/sh
# Installs Tryst on a Linux machine with systemd: the ID server, the relay and the API as units, with a Node of their
# own. It installs a file made by `npm run package:tar` and downloads nothing. Safe to repeat; a newer file upgrades.
set -eu

usage() {
  cat <<'END'
Usage: install.sh [OPTIONS]

Installs from the folder that it lies in (an unpacked tryst-VERSION-linux-MACHINE.tar.gz), from such a file beside it or
in dist/ there, or from the one that --file names. Run again with a newer file it upgrades; keys, devices and settings stay.

  --file FILE          the file to install
  --public-host HOST   name or address that clients use to reach this machine
  --only LIST          which programs, with commas: hbbs, hbbr, api (default: all)
  --import FOLDER      take keys, devices, lists and settings over from this folder, where there are none yet
  --no-start           start nothing
  -y, --yes            ask nothing; what would be asked is taken as not wanted, or as wanted where an option says so

  --uninstall          remove the programs and units; keys, devices, settings and logs stay
  --delete-data        with --uninstall: those as well. Clients then need a new key. Asks, unless --yes is given

  --docker FOLDER      write files for `docker compose up` into the folder instead, and install nothing

  -h, --help           show this text
END
}

prefix=/usr/lib/tryst
data=/var/lib/rustdesk-server
logs=/var/log/rustdesk-server
units=/etc/systemd/system
settings=/etc/default/rustdesk-server
# What --uninstall may remove: written by this script only.
marker=$prefix/installed-by-script

here=$(cd "$(dirname "$0")" && pwd)
action=install file='' public_host='' only=hbbs,hbbr,api import='' start=yes yes=no delete_data=no docker_folder=''
work=''
trap 'if [ -n "$work" ]; then rm -rf "$work"; fi' EXIT
trap 'exit 1' HUP INT TERM

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
value() { if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a value; see --help"; fi; }

while [ $# -gt 0 ]; do
  case $1 in
    --*=*)
      option=${1%%=*} argument=${1#*=}
      shift
      set -- "$option" "$argument" "$@"
      ;;
  esac
  case $1 in
    --file) value "$@" && file=$2 && shift ;;
    --public-host) value "$@" && public_host=$2 && shift ;;
    --only) value "$@" && only=$2 && shift ;;
    --import) value "$@" && import=$2 && shift ;;
    --docker) value "$@" && action=docker docker_folder=$2 && shift ;;
    --no-start) start=no ;;
    --uninstall) action=uninstall ;;
    --delete-data) delete_data=yes ;;
    -y | --yes) yes=yes ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown option '$1'; see --help" ;;
  esac
  shift
done

if [ "$delete_data" = yes ] && [ "$action" != uninstall ]; then fail '--delete-data goes with --uninstall only'; fi
case $public_host in
  *[!A-Za-z0-9.:-]*) fail "--public-host is a host name or an IP address alone, without http:// and path; it is '$public_host'" ;;
esac
for program in $(printf %s "$only" | tr , ' '); do
  case $program in hbbs | hbbr | api) ;; *) fail "--only knows hbbs, hbbr and api; it names '$program'" ;; esac
done

unit_of() { case $1 in api) printf tryst-api.service ;; *) printf 'rustdesk-%s.service' "$1" ;; esac; }
wanted() { case ,$only, in *,"$1",*) true ;; *) false ;; esac; }

# ask QUESTION: whether the person says yes; nobody there says no
ask() {
  if [ "$yes" = yes ] || ! [ -t 0 ]; then return 1; fi
  printf '%s [y/N] ' "$1"
  read -r answer || return 1
  case $answer in y | Y | yes | Yes) true ;; *) false ;; esac
}

need_root() {
  if [ "$(id -u)" != 0 ]; then fail "this needs root: sudo $0 ..."; fi
  have systemctl || fail 'systemd is missing on this machine; use containers instead: --docker FOLDER'
}
systemd_runs() { [ -d /run/systemd/system ]; }
package_installed() {
  have dpkg-query && dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

machine() {
  case $(uname -m) in
    x86_64 | amd64) printf x64 ;;
    aarch64 | arm64) printf arm64 ;;
    *) fail "there is no file for $(uname -m): x86_64 and aarch64 are served" ;;
  esac
}

# Sets `source` to a folder with the content of the file; without one, to nothing.
find_source() {
  source=''
  if [ -z "$file" ]; then
    if [ -x "$here/tryst/bin/node" ]; then source=$here && return; fi
    # The newest that fits this machine.
    for candidate in "$here"/tryst-*-linux-"$(machine)".tar.gz "$here"/dist/tryst-*-linux-"$(machine)".tar.gz; do
      if [ -f "$candidate" ] && { [ -z "$file" ] || [ -n "$(find "$candidate" -newer "$file")" ]; }; then file=$candidate; fi
    done
    if [ -z "$file" ]; then return; fi
  fi
  [ -f "$file" ] || fail "'$file' does not exist"
  file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")
  if [ -f "$file.sha256" ] && have sha256sum; then
    (cd "$(dirname "$file")" && sha256sum --status -c "$file.sha256") || fail "'$file' is damaged: it does not have the sum in $file.sha256"
  fi
  work=$(mktemp -d)
  tar -xzf "$file" --no-same-owner -C "$work" || fail "'$file' cannot be unpacked"
  for source in "$work"/*; do break; done
  [ -x "$source/tryst/bin/node" ] || fail "'$file' was not made by npm run package:tar"
}

# put_aside FILE: a file that is somebody else's stays, under another name
put_aside() {
  say "$1 was there already; it is $1.saved now."
  mv -f "$1" "$1.saved"
}

install_programs() {
  # In place at once, so that an interruption leaves the old installation or the new one.
  rm -rf "$prefix.new" "$prefix.old"
  cp -R "$source/tryst" "$prefix.new"
  chown -R root:root "$prefix.new"
  : >"$prefix.new/installed-by-script"
  "$prefix.new/bin/node" --version >/dev/null 2>&1 || {
    rm -rf "$prefix.new"
    fail 'the Node of this file does not run here: it is for another machine, or this system is older than glibc 2.28'
  }
  if [ -e "$prefix" ]; then mv "$prefix" "$prefix.old"; fi
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
  for program in hbbs hbbr rustdesk-utils tryst; do
    target=../lib/tryst/launchers/$program
    if [ -e "/usr/bin/$program" ] && [ "$(readlink "/usr/bin/$program")" != "$target" ]; then put_aside "/usr/bin/$program"; fi
    ln -sfn "$target" "/usr/bin/$program"
  done
}

install_units() {
  for program in hbbs hbbr api; do
    unit=$(unit_of "$program")
    if wanted "$program"; then
      if [ -e "$units/$unit" ] && ! grep -q '^Description=Tryst' "$units/$unit"; then put_aside "$units/$unit"; fi
      cp "$source/systemd/$unit" "$units/$unit"
      chmod 644 "$units/$unit"
    elif [ -e "$units/$unit" ] && grep -q '^Description=Tryst' "$units/$unit"; then
      stop_and_disable "$unit"
      rm -f "$units/$unit"
    fi
  done
  if [ -d /etc/logrotate.d ]; then
    cp "$source/etc/logrotate-rustdesk-server" /etc/logrotate.d/rustdesk-server
    chmod 644 /etc/logrotate.d/rustdesk-server
  fi
}

stop_and_disable() {
  if systemd_runs; then systemctl stop "$1" 2>/dev/null || true; fi
  systemctl --quiet disable "$1" 2>/dev/null || true
}

import_folder() {
  [ -r "$import/id_ed25519" ] || fail "'$import' has no key file id_ed25519"
  if [ -e "$data/id_ed25519" ] || [ -e "$data/db_v2.sqlite3" ]; then
    say "$data has a key or devices already; nothing was taken over from $import."
    return
  fi
  mkdir -p "$data"
  for name in id_ed25519 id_ed25519.pub db_v2.sqlite3 db_v2.sqlite3-wal .env blocklist.txt blacklist.txt; do
    if [ ! -f "$import/$name" ]; then continue; fi
    cp "$import/$name" "$data/$name"
    chmod 600 "$data/$name"
    # The user of an earlier installation; a new one is given the whole folder below.
    chown "$(stat -c %u:%g "$data")" "$data/$name"
  done
}

write_settings() {
  mkdir -p /etc/default
  if [ ! -e "$settings" ]; then
    cp "$source/etc/default-rustdesk-server" "$settings"
    chmod 644 "$settings"
    if [ -z "$public_host" ] && [ "$yes" = no ] && [ -t 0 ]; then
      printf 'Name or address that clients use to reach this machine (empty: decide later): '
      read -r public_host || public_host=''
      case $public_host in *[!A-Za-z0-9.:-]*) public_host='' && say 'That is not a name; nothing was set.' ;; esac
    fi
  fi
  if [ -n "$public_host" ]; then
    grep -v '^PUBLIC_HOST=' "$settings" >"$settings.new" || true
    printf 'PUBLIC_HOST=%s\n' "$public_host" >>"$settings.new"
    cat "$settings.new" >"$settings"
    rm -f "$settings.new"
  fi
}

start_units() {
  if systemd_runs; then systemctl daemon-reload; fi
  for program in hbbs hbbr api; do
    if ! wanted "$program"; then continue; fi
    unit=$(unit_of "$program")
    systemctl --quiet enable "$unit" 2>/dev/null || fail "systemctl enable $unit failed"
    if [ "$start" = yes ] && systemd_runs; then systemctl restart "$unit"; fi
  done
}

tell() {
  say "Installed: $(head -n 1 "$prefix/VERSION"), programs in $prefix, data in $data, settings in $settings"
  if [ "$start" = no ] || ! systemd_runs; then
    say 'Nothing was started or restarted; at the next start of the machine the units are.'
    return
  fi
  if ! wanted hbbs; then return; fi
  tries=0
  while [ ! -s "$data/id_ed25519.pub" ] && [ $tries -lt 20 ]; do
    sleep 0.5
    tries=$((tries + 1))
  done
  if [ -s "$data/id_ed25519.pub" ]; then
    say "Key for clients: $(cat "$data/id_ed25519.pub")"
  else
    say "hbbs has made no key yet; see $logs/hbbs.log"
  fi
  if wanted api; then
    named=$(sed -n 's/^PUBLIC_HOST=//p' "$settings")
    say "What clients need, and a QR code: http://${named:-this-machine}:21114/"
  fi
}

install() {
  need_root
  for package in rustdesk-server-hbbs rustdesk-server-hbbr rustdesk-server-utils; do
    if package_installed "$package"; then
      fail "the package $package has the same files. Remove it first, keeping its data: apt-get remove $package (never purge: that deletes the keys)"
    fi
  done
  if package_installed tryst-common; then fail 'Tryst is installed as a package: upgrade it with the newer package'; fi
  find_source
  if [ -z "$source" ]; then
    fail "nothing to install beside $0. Make a file with 'npm run package:tar' in a clone, or name one with --file"
  fi
  if [ -n "$import" ]; then import_folder; fi
  # Before the programs: root may have left the folder to itself only because it was another server's.
  if systemd_runs && [ ! -e "$marker" ]; then
    for program in hbbs hbbr; do systemctl stop "$(unit_of "$program")" 2>/dev/null || true; done
  fi
  install_programs
  "$prefix/setup/prepare-folders"
  write_settings
  install_units
  start_units
  tell
}

uninstall() {
  need_root
  if package_installed tryst-common; then fail 'Tryst is installed as a package: apt-get remove tryst-common'; fi
  for program in hbbs hbbr api; do
    unit=$(unit_of "$program")
    if [ -e "$units/$unit" ] && grep -q '^Description=Tryst' "$units/$unit"; then
      stop_and_disable "$unit"
      rm -f "$units/$unit"
    fi
  done
  if systemd_runs; then systemctl daemon-reload; fi
  for program in hbbs hbbr rustdesk-utils tryst; do
    if [ "$(readlink "/usr/bin/$program" 2>/dev/null)" = "../lib/tryst/launchers/$program" ]; then rm -f "/usr/bin/$program"; fi
  done
  if [ -e "$marker" ]; then rm -rf "$prefix" "$prefix.new" "$prefix.old" /etc/logrotate.d/rustdesk-server; fi
  if [ "$delete_data" = yes ]; then
    if [ "$yes" = yes ] || ask "Delete $data with the server's key and all devices? Every client then needs a new key."; then
      rm -rf "$data" "$logs" "$settings" /etc/default/rustdesk-hbbr
      if getent passwd tryst >/dev/null; then userdel tryst; fi
      say "Removed, data included."
      return
    fi
  fi
  say "Removed. Keys and devices are still in $data, settings in $settings, logs in $logs."
}

# Files for `docker compose up`. From a clone the images are built there; from an unpacked file they must be there.
write_compose_files() {
  if [ -f "$here/docker-compose.yml" ]; then
    from=$here
  else
    find_source
    if [ -z "$source" ]; then fail 'no compose files beside this script'; fi
    from=$source/compose
  fi
  [ -f "$from/docker-compose.yml" ] || fail "$from has no docker-compose.yml"
  mkdir -p "$docker_folder"
  target=$(cd "$docker_folder" && pwd)
  if [ "$target" != "$from" ]; then
    if [ -n "$(ls -A "$target")" ] && ! grep -qsx 'name: tryst' "$target/docker-compose.yml"; then
      fail "$target has other files in it; name an empty folder, or one that --docker has written"
    fi
    # The files that compose files mount or build from.
    for folder in nginx proxies observability docker; do
      rm -rf "${target:?}/$folder"
      if [ -d "$from/$folder" ]; then cp -R "$from/$folder" "$target/$folder"; fi
    done
    if [ -f "$from/.env.example" ]; then cp "$from/.env.example" "$target/.env.example"; fi
    for compose in "$from"/docker-compose*.yml; do
      if [ -f "$from/Dockerfile.hbbs" ]; then
        sed "s|context: \\.,|context: \"$from\",|" "$compose" >"$target/$(basename "$compose")"
      else
        sed '/^ *build: { context: \.,/d' "$compose" >"$target/$(basename "$compose")"
      fi
    done
  fi
  if [ -n "$public_host" ]; then
    touch "$target/.env"
    grep -v '^PUBLIC_HOST=' "$target/.env" >"$target/.env.new" || true
    printf 'PUBLIC_HOST=%s\n' "$public_host" >>"$target/.env.new"
    mv "$target/.env.new" "$target/.env"
  fi
  say "Written. Next: cd $target && docker compose up -d"
  if [ ! -f "$from/Dockerfile.hbbs" ]; then
    say 'The images tryst/hbbs and tryst/hbbr have to be there (docker load): this folder has no sources to build them from.'
  fi
}

case $action in
  install) install ;;
  uninstall) uninstall ;;
  docker) write_compose_files ;;
esac
