#!/usr/bin/env bash
# install_packages.sh LIST...: installs the Debian packages that the lists name and the system lacks. Does nothing, in a few
# milliseconds and without root, when none is missing.
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
  echo "install_packages.sh: no dpkg here, so nothing is installed; the libraries needed are those of: $*" >&2
  exit 0
fi

mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$@")
installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

command="apt-get install --no-install-recommends ${missing[*]}"
if [[ $(id -u) != 0 ]]; then
  echo "install_packages.sh: ${#missing[@]} packages are missing and only root may install them. Run: sudo $command" >&2
  exit 1
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null >&2
apt-get install --yes -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >&2
