#!/usr/bin/env bash
# Installs the Debian packages of tools/packages.txt that are missing. Works as root and with sudo; says what it installs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mapfile -t wanted < <(grep -v '^ *#' "$here/packages.txt" | tr -d ' ' | grep .)
fail() { echo "error: $*" >&2; exit 1; }

command -v dpkg-query > /dev/null ||
  fail "this is not a Debian system; install the counterparts of the packages in tools/packages.txt by hand: ${wanted[*]}"
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2> /dev/null | sed -n 's/^ii  *//p' || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF -- "$package" <<< "$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

as_root=()
if ((EUID != 0)); then
  command -v sudo > /dev/null ||
    fail "missing ${missing[*]}, and neither root nor sudo is here; run as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
echo "installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" < /dev/null > "$log" 2>&1; }
if ! apt update || ! apt install --yes --no-install-recommends "${missing[@]}"; then
  tail -n 5 "$log" >&2
  fail "cannot install ${missing[*]} (apt-get's reason is above); check the network and that this is Debian 12, or run: apt-get install ${missing[*]}"
fi
